"""Compares per-image predictions: how much of the spread is due to the finite test set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from zipfile import is_zipfile

import numpy as np

from cv_attention.rundir.arrays import read_arrays
from cv_attention.rundir.layout import RunLayout
from cv_attention.rundir.readings import read_readings

_ARRAYS = ("name", "label", "predicted", "probability")
# The share of test images that are right, by the task's name for it.
OF_CLASSES, OF_TEXTS = "accuracy", "exact"


@dataclass(frozen=True)
class Predictions:
    """Holds the predictions of one run on its test images.

    Attributes:
        names: Name of each image.
        correct: Whether the predicted class is the true class, or the text that was read is the true text.
        probability: Probability of the true class; None for texts.
    """

    names: np.ndarray
    correct: np.ndarray
    probability: np.ndarray | None = None


def file_of(run: Path, test: Mapping[str, float]) -> Path:
    """Returns the file that a run's predictions are in, whether it exists or not.

    Args:
        run: The run directory.
        test: The test metrics in its summary, which show whether classes were predicted or texts were read.
    """
    return RunLayout(run).readings if OF_TEXTS in test and OF_CLASSES not in test else RunLayout(run).predictions


def read(run: Path, test: Mapping[str, float]) -> Predictions | None:
    """Reads a run's predictions; None if there are none, or if they do not belong to the test in the summary.

    Args:
        run: The run directory.
        test: The test metrics in the summary: a run evaluated again on other images has other predictions.

    Raises:
        ValueError: if the file cannot be read.
    """
    path, share = file_of(run, test), test.get(OF_CLASSES, test.get(OF_TEXTS))
    if share is None or not path.is_file():
        return None
    found = _of_texts(path) if path.suffix == ".csv" else _of_classes(path)
    same = len(found.correct) > 0 and abs(float(found.correct.mean()) - share) < 1e-5
    return found if same else None


def _of_texts(path: Path) -> Predictions:
    try:
        rows = [row for row in read_readings(path) if row.truth is not None]
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    names = np.array([row.file_name for row in rows], np.str_)
    return Predictions(names, np.array([row.text == row.truth for row in rows], bool))


def _of_classes(path: Path) -> Predictions:
    try:
        if not is_zipfile(path):
            raise ValueError("it is not a complete .npz file")
        stored = read_arrays(path, _ARRAYS)
        lengths = {name: stored[name].shape for name in _ARRAYS}
        if len(set(lengths.values())) > 1 or len(lengths["name"]) != 1:
            raise ValueError(f"its arrays must have one value for each image, got shapes {lengths}")
        return Predictions(stored["name"], stored["label"] == stored["predicted"], stored["probability"])
    except Exception as error:  # whatever a truncated file raises
        raise ValueError(f"{path} cannot be read: {error}") from error


def image_deviation(runs: Sequence[Predictions]) -> float | None:
    """Returns the standard deviation of the share of correct images due to the choice of the test images alone.

    Two runs of one network differ on individual images; the variance of that difference over images is what a different
    choice of images would add to the spread. None for fewer than two runs, or for runs on different images.
    """
    if len(runs) < 2 or not all(np.array_equal(run.names, runs[0].names) for run in runs):
        return None
    spread = [np.var(first.correct.astype(float) - second.correct) for first, second in combinations(runs, 2)]
    return float((np.mean(spread) / 2 / len(runs[0].names)) ** 0.5)


def changed(reference: Predictions, other: Predictions) -> tuple[int, int] | None:
    """Counts the images that only `other`, and only `reference`, get right; None if the images differ."""
    if not np.array_equal(reference.names, other.names):
        return None
    return int((other.correct & ~reference.correct).sum()), int((reference.correct & ~other.correct).sum())
