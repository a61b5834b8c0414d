"""Compares per-image predictions: how much of the spread is due to the finite test set."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from zipfile import is_zipfile

import numpy as np

from cv_attention.rundir.arrays import read_arrays
from cv_attention.rundir.layout import RunLayout

_ARRAYS = ("name", "label", "predicted", "probability")


@dataclass(frozen=True)
class Predictions:
    """Holds the predictions of one run on its test images.

    Attributes:
        names: Name of each image.
        correct: Whether the predicted class is the true class.
        probability: Probability of the true class.
    """

    names: np.ndarray
    correct: np.ndarray
    probability: np.ndarray


def read(run: Path, accuracy: float | None) -> Predictions | None:
    """Reads a run's predictions; None if there are none, or if they do not belong to the test in the summary.

    Args:
        run: The run directory.
        accuracy: Test accuracy in the summary: a run evaluated again on other images has other predictions.

    Raises:
        ValueError: if the file cannot be read.
    """
    path = RunLayout(run).predictions
    if accuracy is None or not path.is_file():
        return None
    try:
        if not is_zipfile(path):
            raise ValueError("it is not a complete .npz file")
        stored = read_arrays(path, _ARRAYS)
        lengths = {name: stored[name].shape for name in _ARRAYS}
        if len(set(lengths.values())) > 1 or len(lengths["name"]) != 1:
            raise ValueError(f"its arrays must have one value for each image, got shapes {lengths}")
        correct = stored["label"] == stored["predicted"]
        predictions = Predictions(stored["name"], correct, stored["probability"])
    except Exception as error:  # whatever a truncated file raises
        raise ValueError(f"{path} cannot be read: {error}") from error
    same = len(correct) > 0 and abs(float(correct.mean()) - accuracy) < 1e-5
    return predictions if same else None


def image_deviation(runs: Sequence[Predictions]) -> float | None:
    """Returns the standard deviation of the accuracy due to the choice of the test images alone.

    Two runs of one network differ on individual images; the variance of that difference over images is what a different
    choice of images would add to the spread. None for fewer than two runs, or for runs on different images.
    """
    if len(runs) < 2 or not all(np.array_equal(run.names, runs[0].names) for run in runs):
        return None
    spread = [np.var(first.correct.astype(float) - second.correct) for first, second in combinations(runs, 2)]
    return float((np.mean(spread) / 2 / len(runs[0].names)) ** 0.5)


def changed(reference: Predictions, other: Predictions) -> tuple[int, int] | None:
    """Counts the images that only `other`, and only `reference`, classify correctly; None if the images differ."""
    if not np.array_equal(reference.names, other.names):
        return None
    return int((other.correct & ~reference.correct).sum()), int((reference.correct & ~other.correct).sum())
