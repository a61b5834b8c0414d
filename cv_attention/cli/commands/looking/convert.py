"""``cv-attention convert``: writes a run or a saliency export in the layout of another program."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from jsonargparse import ArgumentParser

from cv_attention.cli.errors import user_errors
from cv_attention.cli.parsing import parse
from cv_attention.cli.places import check_folder


def run(arguments: Sequence[str]) -> None:
    """Writes the folder and prints its path."""
    parser = ArgumentParser(prog="cv-attention convert", exit_on_error=False)
    parser.add_argument("run", metavar="RUN", help="A run directory, or a folder of `cv-attention saliency`.")
    parser.add_argument(
        "--to",
        type=Literal["fiftyone", "coco"],
        required=True,
        help="fiftyone: maps as Heatmap labels; coco: the regions of maps as masks and boxes.",
    )
    parser.add_argument("-o", "--out", required=True, help="Folder to write to.")
    parser.add_argument(
        "--threshold", type=float, default=0.5, help="Share of a map's largest value that its region of coco reaches."
    )
    options = parse(parser, arguments)
    check_folder(Path(options.out))
    with user_errors():
        from cv_attention import report

        if options.to == "fiftyone":
            print(report.to_fiftyone(options.run, options.out))
        else:
            print(report.to_coco(options.run, options.out, threshold=options.threshold))
