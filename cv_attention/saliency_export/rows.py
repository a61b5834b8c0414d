"""Defines the manifest's rows, one per image."""

from collections.abc import Callable
from typing import Any

import numpy as np

from cv_attention.exporting.sources import Item
from cv_attention.saliency_export.maps import Column, Explained
from cv_attention.saliency_export.shards import flags_of
from cv_attention.training.tasks.labels.multi_label import MultiLabelClassifier

FIELDS = (
    *("index", "image", "error", "name", "width", "height", "label", "box", "predicted", "predicted_class"),
    *("probability", "target", "target_class", "logits", "shard", "row", "input", "panel", "maps"),
)


def failed_row(index: int, item: Item, error: str) -> dict[str, Any]:
    """Returns the row of an image that could not be used."""
    return {**dict.fromkeys(FIELDS), "index": index, "image": item.title, "error": error}


Fields = Callable[[np.ndarray, int], dict[str, Any]]  # logits (classes,) and the explained class -> fields of a row


def class_fields_of(classifier: Explained) -> Fields:
    """Returns what makes the fields of a prediction, with one class per image or several."""
    names = classifier.facts.class_names
    if isinstance(classifier, MultiLabelClassifier):
        thresholds = classifier.thresholds().cpu().numpy()
        return lambda logits, target: label_fields(logits, target, names, thresholds)
    return lambda logits, target: class_fields(logits, target, names)


def label_fields(
    logits: np.ndarray, target: int, class_names: tuple[str, ...], thresholds: np.ndarray
) -> dict[str, Any]:
    """Returns the prediction for one image that may have several classes, from its logits (classes,).

    ``predicted`` is the most probable class, and ``decided`` names those from their thresholds on.
    """
    probabilities = _sigmoid(logits.astype(np.float64))
    decided = [name for name, yes in zip(class_names, probabilities >= thresholds, strict=True) if yes]
    fields = class_fields(logits, target, class_names)
    return {**fields, "probability": _short(probabilities[fields["predicted"]]), "decided": decided}


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-logits))


def class_fields(logits: np.ndarray, target: int, class_names: tuple[str, ...]) -> dict[str, Any]:
    """Returns the prediction for one image from its logits (classes,)."""
    predicted = int(logits.argmax())
    with np.errstate(invalid="ignore"):  # infinite logits, which the export counts
        weights = np.exp(logits.astype(np.float64) - logits[predicted])
    return {
        "predicted": predicted,
        "predicted_class": class_names[predicted],
        "probability": _short(weights[predicted] / weights.sum()),
        "target": target,
        "target_class": class_names[target],
        "logits": [_short(value) for value in logits],
    }


def map_fields(column: Column, values: np.ndarray, scale: float, overlay: str | None) -> dict[str, Any]:
    """Returns the entry of one raw map in its image's row."""
    finite = values[np.isfinite(values)]
    return {
        "key": column.key,
        "method": column.method,
        "layer": column.layer,
        "kind": column.kind,
        "low": _short(finite.min()) if finite.size else None,
        "high": _short(finite.max()) if finite.size else None,
        "scale": scale,
        "flags": flags_of(values),
        "overlay": overlay,
    }


def _short(value: Any) -> float | None:
    """Rounds to seven significant digits, as float32 holds; None if not finite, which JSON cannot represent."""
    return float(f"{float(value):.7g}") if np.isfinite(value) else None
