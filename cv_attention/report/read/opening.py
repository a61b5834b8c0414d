"""Opens what a report shows: run directories and saliency exports."""

from pathlib import Path

from cv_attention.report.read.run_directory import Run, read_run
from cv_attention.report.read.saliency_export import read_export
from cv_attention.rundir.layout import ExportLayout


def open_run(directory: Path) -> Run:
    """Reads a run directory or a saliency export, whichever is there.

    Raises:
        FileNotFoundError: if there is no such directory.
        ValueError: if it is neither, or damaged.
    """
    return read_export(directory) if ExportLayout(directory).description.is_file() else read_run(directory)
