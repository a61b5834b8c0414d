"""Counts confusions, and collects the predictions for test images, as the run directory stores them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from cv_attention.rundir.contents import PREDICTION_ARRAYS, ConfusionCounts

MOST_CLASSES = 2000  # the matrix is as large as the square of their number
TOP = 5  # classes whose probabilities are kept


def confusion(labels: Any, predicted: Any, classes: int, what: str | None = None) -> ConfusionCounts:
    """Counts images by true and predicted class.

    Args:
        labels: True classes (N): a tensor, an array or a list.
        predicted: Predicted classes (N).
        classes: Number of classes.
        what: What is counted, as the page calls it.

    Raises:
        ValueError: if there are not as many of both, or a class is out of range.
    """
    labels, predicted = _array(labels), _array(predicted)
    if labels.shape != predicted.shape:
        raise ValueError(f"labels and predictions must be as many, got {len(labels)} and {len(predicted)}")
    for name, values in (("labels", labels), ("predictions", predicted)):
        whole = np.issubdtype(values.dtype, np.integer)
        if values.size and not (whole and 0 <= values.min() <= values.max() < classes):
            raise ValueError(f"{name} must be classes 0 to {classes - 1}, got {values.min()} to {values.max()}")
    cells, images = np.unique(labels.astype(np.int64) * classes + predicted, return_counts=True)
    entries = zip((cells // classes).tolist(), (cells % classes).tolist(), images.tolist(), strict=True)
    return ConfusionCounts(classes, [list(entry) for entry in entries], what)


def _array(values: Any) -> NDArray[Any]:
    return (values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)).ravel()


def prediction_arrays(
    columns: dict[str, NDArray], names: Sequence[str], class_names: Sequence[str]
) -> dict[str, NDArray[Any]]:
    """Puts the arrays of ``predictions.npz`` together: sorted by ``index``, each image once.

    Args:
        columns: ``index`` and all others that have one entry for each image.
        names: Name of each image, in the order of the sorted indices.
        class_names: Name of each class.
    """
    _, order = np.unique(columns["index"], return_index=True)
    kept = {name: values[order] for name, values in columns.items()}
    arrays = {"name": np.array(names), "class_names": np.array(class_names), **kept}
    return {name: arrays[name] for name in PREDICTION_ARRAYS}
