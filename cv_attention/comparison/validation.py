"""Reads the validation metrics of one epoch from a run's curves."""

from pathlib import Path

from cv_attention.report.read.metrics import read_metrics
from cv_attention.rundir.layout import RunLayout


def best_validation(run: Path) -> dict[str, float]:
    """Returns the validation metrics of the first epoch with the best accuracy; empty if there are none."""
    series = read_metrics(RunLayout(run)).series
    accuracies = series.get("val_accuracy", [])
    if not accuracies:
        return {}
    best = max(accuracies, key=lambda point: point[2])[0]
    return at_epoch(run, int(best))


def at_epoch(run: Path, epoch: int) -> dict[str, float]:
    """Returns the validation metrics after `epoch` epochs, and ``epoch`` itself."""
    series = read_metrics(RunLayout(run)).series
    found = {
        name.removeprefix("val_"): value
        for name, points in series.items()
        if name.startswith("val_")
        for trained, _, value in points
        if trained == epoch
    }
    return {**found, "epoch": epoch} if found else {}
