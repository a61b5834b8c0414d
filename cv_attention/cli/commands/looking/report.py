"""``cv-attention report``: builds the HTML report of runs and of saliency exports."""

from collections.abc import Sequence
from pathlib import Path

from jsonargparse import ArgumentParser

from cv_attention.cli.errors import UserError, one_line
from cv_attention.cli.parsing import parse
from cv_attention.cli.places import check_folder


def run(arguments: Sequence[str]) -> None:
    """Writes the report and prints its path."""
    parser = ArgumentParser(prog="cv-attention report", exit_on_error=False)
    parser.add_argument(
        "runs", nargs="+", metavar="RUN", help="Run directories, or folders of `cv-attention saliency`."
    )
    parser.add_argument(
        "-o",
        "--out",
        help="Folder of the report (default: report/ in the run; for several runs, comparison/ next to the first one).",
    )
    options = parse(parser, arguments)
    if options.out:
        check_folder(Path(options.out))
    from cv_attention import report

    try:
        index = report.build([Path(run) for run in options.runs], Path(options.out) if options.out else None)
    except (ValueError, OSError) as error:
        raise UserError(one_line(error)) from error
    print(index)
