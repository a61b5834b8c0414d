"""A run directory, read without asking that it be complete."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cv_attention.report.metrics import Metrics, read_metrics
from cv_attention.report.recording import Recording, read_recording
from cv_attention.report.redaction import redact

_MARKS = ("config.yaml", "summary.json", "metrics", "maps")


@dataclass(frozen=True)
class Run:
    """What a run directory holds.

    Attributes:
        directory: Where it is; never in the page.
        name: Name of the directory.
        config: The resolved configuration; empty where it is missing. No absolute path is in it.
        summary: Results at the end of the training; empty for an interrupted run.
        metrics: The training curves.
        recording: The probe images and their maps.
        notices: What could not be read, for the reader of the page.
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
        """Names of the classes, from the recording or the summary."""
        names = self.recording.class_names or self.summary.get("class_names") or []
        return [str(name) for name in names]


def read_run(directory: Path) -> Run:
    """Reads a run directory.

    Raises:
        FileNotFoundError: if the directory does not exist; the message suggests close matches, or lists what exists.
        ValueError: if it holds nothing that a run leaves behind.
    """
    from cv_attention.rundir import read_yaml, summary  # here, so that the report is imported alone
    from cv_attention.suggest import suggest

    if not directory.is_dir():
        runs = sorted(
            p for p in directory.parent.glob("*/") if any((p / mark).exists() for mark in (*_MARKS, "export.json"))
        )
        hint = suggest(directory.name, [run.name for run in runs]) if runs else ""
        raise FileNotFoundError(f"no run directory at {directory}{hint}")
    if not any((directory / mark).exists() for mark in _MARKS):
        marks = ", ".join(_MARKS)
        raise ValueError(
            f"{directory} is neither a run directory nor a saliency export: it holds no {marks}, export.json"
        )
    notices: list[str] = []
    config = _noted(read_yaml, directory / "config.yaml", notices)
    said = _noted(lambda path: summary.read(path.parent), directory / summary.NAME, notices)
    recording = read_recording(directory / "maps")
    notices += recording.notices
    changes = [f"{what}." for what in summary.changes(directory, said)]
    notices += [what for what in changes if not any(what.partition(" ")[0] in notice for notice in notices)]
    return Run(
        directory=directory,
        name=directory.resolve().name,
        config=redact(config),
        summary=redact(said),
        metrics=read_metrics(directory / "metrics"),
        recording=recording,
        notices=notices,
    )


def _noted(read: Callable[[Path], dict[str, Any]], path: Path, notices: list[str]) -> dict[str, Any]:
    """Reads a file that may be missing; what is wrong with it is noted."""
    from cv_attention.rundir import Damaged

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
