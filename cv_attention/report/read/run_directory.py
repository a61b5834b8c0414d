"""Reads a run directory, complete or not."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cv_attention.report.read.metrics import Metrics, read_metrics
from cv_attention.report.read.recording import Recording, read_recording
from cv_attention.report.read.redaction import redact
from cv_attention.rundir import Damaged, read_yaml, summary
from cv_attention.rundir.layout import MARKS, ExportLayout, RunLayout


@dataclass(frozen=True)
class Run:
    """Holds the contents of a run directory.

    Attributes:
        directory: Its path; never shown on the page.
        name: Name of the directory.
        config: The resolved configuration, without absolute paths; empty if it is missing.
        summary: Results at the end of training; empty for an interrupted run.
        metrics: The training curves.
        recording: The probe images and their maps.
        notices: Notices about what could not be read, shown on the page.
        export: Whether it is a saliency export, without epochs and curves, rather than a training run.
    """

    directory: Path
    name: str
    config: dict[str, Any]
    summary: dict[str, Any]
    metrics: Metrics
    recording: Recording
    notices: list[str] = field(default_factory=list)
    export: bool = False

    @property
    def class_names(self) -> list[str]:
        """Returns the names of the classes, from the recording or the summary."""
        names = self.recording.class_names or self.summary.get("class_names") or []
        return [str(name) for name in names]


def read_run(directory: Path) -> Run:
    """Reads a run directory.

    Raises:
        FileNotFoundError: if there is no such directory; the message names similar ones, or those that exist.
        ValueError: if it contains nothing written by a run.
    """
    from cv_attention.suggest import suggest  # here, so that the report is imported alone

    mark_of_exports = ExportLayout(directory).description.name
    if not directory.is_dir():
        runs = sorted(
            p for p in directory.parent.glob("*/") if any((p / mark).exists() for mark in (*MARKS, mark_of_exports))
        )
        hint = suggest(directory.name, [run.name for run in runs]) if runs else ""
        raise FileNotFoundError(f"no run directory at {directory}{hint}")
    if not any((directory / mark).exists() for mark in MARKS):
        marks = ", ".join(MARKS)
        raise ValueError(
            f"{directory} is neither a run directory nor a saliency export: it holds no {marks}, {mark_of_exports}"
        )
    notices: list[str] = []
    layout = RunLayout(directory)
    config = _noted(read_yaml, layout.config, notices)
    results = _noted(lambda path: summary.read(path.parent), layout.summary, notices)
    recording = read_recording(layout)
    notices += recording.notices
    changes = [f"{what}." for what in summary.changes(directory, results)]
    notices += [what for what in changes if not any(what.partition(" ")[0] in notice for notice in notices)]
    metrics = read_metrics(layout)
    for name, count in metrics.infinite.items():
        times = "once" if count == 1 else f"{count} times"
        notices.append(f"{redact(name)} was infinite or not a number {times}; its curve leaves that out.")
    return Run(
        directory=directory,
        name=directory.resolve().name,
        config=redact(config),
        summary=redact(results),
        metrics=metrics,
        recording=recording,
        notices=notices,
    )


def _noted(read: Callable[[Path], dict[str, Any]], path: Path, notices: list[str]) -> dict[str, Any]:
    """Reads a file that may be missing; what is wrong with it becomes a notice."""
    if not path.exists():
        return {}
    try:
        return read(path)
    except Damaged as error:
        reason = str(error).removeprefix(f"{path} ").removeprefix("cannot be read: ")
        notices.append(f"{path.name} could not be read: {redact(reason)}.")
    except OSError as error:
        notices.append(f"{path.name} could not be read: {error.strerror}.")
    return {}
