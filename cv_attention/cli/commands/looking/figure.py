"""``cv-attention figure``: writes figures of a run's maps for papers, and animations of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from jsonargparse import ArgumentParser

from cv_attention.cli.errors import user_errors
from cv_attention.cli.parsing import parse
from cv_attention.extras import require


def run(arguments: Sequence[str]) -> None:
    """Writes the figure and prints its path."""
    parser = ArgumentParser(prog="cv-attention figure", exit_on_error=False)
    parser.add_argument("run", metavar="RUN", help="A run directory, or a folder of `cv-attention saliency`.")
    parser.add_argument(
        "-o",
        "--out",
        required=True,
        help="A file that ends in .pdf, .svg or .png, or in .webp: an animation over the recorded epochs.",
    )
    parser.add_argument(
        "--rows",
        nargs="+",
        metavar="IMAGE",
        help="Images: numbers as on the page, ranges such as 0-3, globs over names or classes (default: the first 6).",
    )
    parser.add_argument(
        "--columns",
        nargs="+",
        metavar="MAP",
        help="Maps: titles as on the page, or globs (default: saliency methods, then blocks, at most 5).",
    )
    parser.add_argument("--epochs", type=int, nargs="+", help="Epochs as on the page (default: the last).")
    parser.add_argument(
        "--scale", type=Literal["image", "column", "all"], default="image", help="Which maps share a colour bar."
    )
    parser.add_argument("--clip", type=float, default=100.0, help="Share of the values within a scale, in percent.")
    parser.add_argument("--low", type=float, help="Value of the lowest colour, for all columns.")
    parser.add_argument("--high", type=float, help="Value of the highest colour, for all columns.")
    parser.add_argument("--opacity", type=float, default=0.5, help="Share of the maps over their images.")
    parser.add_argument("--caption", help="What is written below (default: where the maps come from).")
    parser.add_argument("--width", type=float, default=7.0, help="Inches: 7 for both columns of a paper, 3.4 for one.")
    parser.add_argument("--dpi", type=int, help="Pixels per inch (default: 300, of animations 120).")
    options = parse(parser, arguments)
    with user_errors():
        require("figures", "cv-attention figure")
        print(_write(options))


def _write(options: Any) -> Path:
    from cv_attention import report
    from cv_attention.figures import file_kind

    out = Path(options.out)
    chosen = {name: options[name] for name in ("epochs", "scale", "clip", "low", "high", "opacity")}
    size = {"width": options.width} | ({"dpi": options.dpi} if options.dpi else {})
    if file_kind(out) == "webp":
        if options.caption is not None:
            raise ValueError("an animation's caption says the epoch, and cannot be set by --caption")
        return report.animation(options.run, out, options.rows, options.columns, **chosen, **size)
    sheet = report.figure(options.run, options.rows, options.columns, caption=options.caption, **chosen)
    return sheet.save(out, **size)
