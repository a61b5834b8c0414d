"""``cv-attention figure``: writes figures of a run's maps and panels for papers, and animations of maps."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from jsonargparse import ArgumentParser

from cv_attention.cli.errors import user_errors
from cv_attention.cli.parsing import parse
from cv_attention.extras import require

_OF_PANELS = ("smoothing", "log", "by", "errors", "query")
_OF_MAPS = {  # and their defaults
    "scale": "natural", "clip": 100.0, "low": None, "high": None, "opacity": 0.65, "colours": "viridis",
}  # fmt: skip


def run(arguments: Sequence[str]) -> None:
    """Writes the figure and prints its path."""
    parser = ArgumentParser(prog="cv-attention figure", exit_on_error=False)
    parser.add_argument(
        "run",
        nargs="+",
        metavar="RUN",
        help="A run directory, or a folder of `cv-attention saliency`; several for curves.",
    )
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
        "--scale",
        type=Literal["natural", "image", "column", "all"],
        default="natural",
        help="The scale natural to each kind of map, as on the page, or which maps share a colour bar.",
    )
    parser.add_argument("--clip", type=float, default=100.0, help="Share of the values within a scale, in percent.")
    parser.add_argument("--low", type=float, help="Value of the lowest colour, for all columns.")
    parser.add_argument("--high", type=float, help="Value of the highest colour, for all columns.")
    parser.add_argument("--opacity", type=float, default=0.65, help="Share of the maps over their images.")
    parser.add_argument(
        "--colours",
        type=Literal["viridis", "cividis", "inferno", "magma", "grey"],
        default="viridis",
        help="Of maps without negative values.",
    )
    parser.add_argument(
        "--panel",
        type=Literal["curves", "confusion", "attention", "gates", "faithfulness", "usage"],
        help="A panel of the page in place of maps; --columns are then its metrics, maps, gates or blocks.",
    )
    parser.add_argument("--smoothing", type=float, help="Of curves: weight of the past in moving averages, below 1.")
    parser.add_argument("--log", type=bool, help="Of curves: a logarithmic axis.")
    parser.add_argument("--by", type=Literal["epoch", "step"], help="Of curves: what they are drawn over.")
    parser.add_argument("--errors", type=bool, help="Of a confusion matrix: errors only.")
    parser.add_argument(
        "--query", type=int, nargs=2, metavar=("ROW", "COLUMN"), help="Of attention: the position that looks."
    )
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
    if options.panel:
        return _write_panel(options, out)
    if own := [f"--{name}" for name in _OF_PANELS if options[name] is not None]:
        raise ValueError(f"{own[0]} needs --panel")
    if len(options.run) > 1:
        raise ValueError(f"a figure of maps is of one run, got {len(options.run)}; --panel curves takes several")
    [run] = options.run
    chosen = {name: options[name] for name in ("epochs", *_OF_MAPS)}
    size = {"width": options.width} | ({"dpi": options.dpi} if options.dpi else {})
    if file_kind(out) == "webp":
        if options.caption is not None:
            raise ValueError("an animation's caption says the epoch, and cannot be set by --caption")
        return report.animation(run, out, options.rows, options.columns, **chosen, **size)
    sheet = report.figure(run, options.rows, options.columns, caption=options.caption, **chosen)
    return sheet.save(out, **size)


def _write_panel(options: Any, out: Path) -> Path:
    from cv_attention import report

    chosen = {name: options[name] for name, default in _OF_MAPS.items() if options[name] != default}
    own = {name: options[name] for name in _OF_PANELS if options[name] is not None}
    own |= {"colours": chosen.pop("colours")} if "colours" in chosen else {}
    if chosen:
        raise ValueError(f"--{next(iter(chosen))} does not apply to --panel {options.panel}")
    about = {"panel": options.panel, "epochs": options.epochs, "caption": options.caption}
    drawn = report.figure(options.run, options.rows, options.columns, **about, **own)
    return drawn.save(out, width=options.width, **({"dpi": options.dpi} if options.dpi else {}))
