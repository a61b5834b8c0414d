"""``cv-attention report``: builds the HTML report of runs and of saliency exports."""

import contextlib
import time
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
    parser.add_argument(
        "--watch",
        action="store_true",
        help="Serve the report at 127.0.0.1 instead, and refresh it while runs go on, until Ctrl-C.",
    )
    parser.add_argument("--port", type=int, default=0, help="Port of --watch (default: a free one).")
    options = parse(parser, arguments)
    if options.watch:
        if options.out:
            raise UserError("--watch writes nothing, so -o has no effect; build the report without --watch to keep it")
        _watch([Path(run) for run in options.runs], options.port)
        return
    if options.port:
        raise UserError("--port belongs to --watch")
    if options.out:
        check_folder(Path(options.out))
    from cv_attention import report

    try:
        index = report.build([Path(run) for run in options.runs], Path(options.out) if options.out else None)
    except (ValueError, OSError) as error:
        raise UserError(one_line(error)) from error
    print(index)


def _watch(runs: list[Path], port: int) -> None:
    """Serves the report until Ctrl-C."""
    from cv_attention import report

    if not 0 <= port < 2**16:
        raise UserError(f"--port must be 0 to 65535, got {port}")
    try:
        watch = report.Watch(runs, port)
    except (ValueError, OSError) as error:
        raise UserError(one_line(error)) from error
    with contextlib.suppress(KeyboardInterrupt), watch:
        print(f"{watch.address} shows the report while the run goes on; Ctrl-C ends it", flush=True)
        while True:  # a wait without an end would not notice a signal that came just before it
            time.sleep(0.2)
