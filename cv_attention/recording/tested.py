"""Computes results from logits, and writes those on a test split to a run directory."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from cv_attention.recording.counts import MOST_CLASSES, TOP, confusion, prediction_arrays
from cv_attention.rundir import summary
from cv_attention.rundir.arrays import write_arrays
from cv_attention.rundir.layout import RunLayout

_COMPUTED = ("accuracy", "accuracy_top5", "loss")


def of_recorded(logits: Tensor, labels: Tensor) -> dict[str, float]:
    """Returns accuracy and loss on the recorded images, from logits (N, classes) and true classes (N)."""
    accuracy = (logits.argmax(1) == labels).float().mean()
    return {"recorded_accuracy": float(accuracy), "recorded_loss": float(functional.cross_entropy(logits, labels))}


def write_test(
    run: RunLayout,
    logits: Any,
    labels: Any,
    names: Sequence[str] | None,
    class_names: Sequence[str],
    metrics: Mapping[str, float],
) -> dict[str, float]:
    """Writes ``predictions.npz``, ``confusion/test.json`` and the summary's ``test``; see `Recorder.test`.

    Raises:
        ValueError: if shapes or classes do not fit, or one of `metrics` is computed here.
    """
    scores, true = _tensor("logits", logits).float(), _tensor("labels", labels)
    if scores.dim() != 2 or scores.shape[1] != len(class_names) or not len(scores):
        raise ValueError(f"logits must be (images, {len(class_names)}), a column per class; got {tuple(scores.shape)}")
    if true.shape != scores.shape[:1] or true.is_floating_point():
        raise ValueError(f"labels must be {len(scores)} indices of classes, got {tuple(true.shape)} of {true.dtype}")
    further = _further(metrics)
    counts = confusion(true, scores.argmax(1), len(class_names), "test split")
    if names is not None and len(names) != len(scores):
        raise ValueError(f"names must have one entry for each of the {len(scores)} images, got {len(names)}")
    columns = columns_of(torch.arange(len(scores)), scores, true.long())
    image_names = [str(number) for number in range(len(scores))] if names is None else [str(name) for name in names]
    write_arrays(run.predictions, prediction_arrays(columns, image_names, class_names), compressed=True)
    if len(class_names) <= MOST_CLASSES:
        counts.write(run.tested_confusion)
    results = {"accuracy": float(np.mean(columns["label"] == columns["predicted"]))}
    if len(class_names) > TOP:
        results["accuracy_top5"] = float((columns["top_classes"] == columns["label"][:, None]).any(1).mean())
    results |= {"loss": float(columns["loss"].mean(dtype=float))}
    summary.update(run.root, test=results | further)
    return results | further


def _tensor(what: str, values: Any) -> Tensor:
    try:
        return torch.as_tensor(values).detach().cpu()
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{what} must be one tensor, array or list of all images: {error}") from error


def _further(metrics: Mapping[str, float]) -> dict[str, float]:
    """Returns the metrics that a caller gives by the names that they get in the summary."""
    further = {name.removeprefix("test_"): value for name, value in metrics.items()}
    if taken := sorted(further.keys() & set(_COMPUTED)):
        raise ValueError(f"metric {taken[0]} is computed from logits and labels; leave it out, or give it another name")
    return further


def columns_of(index: Tensor, logits: Tensor, labels: Tensor, losses: Tensor | None = None) -> dict[str, NDArray]:
    """Returns the arrays of ``predictions.npz`` that have an entry for each image, of one batch.

    Args:
        index: Position of each image in the split (B).
        logits: (B, classes).
        labels: True classes (B).
        losses: Loss of each image (B); None computes the cross-entropy.
    """
    probabilities = logits.softmax(1)
    best = probabilities.topk(min(TOP, probabilities.shape[1]), dim=1)
    kept = {
        "index": index,
        "label": labels,
        "predicted": logits.argmax(1),
        "probability": probabilities.gather(1, labels[:, None])[:, 0].float(),
        "loss": (functional.cross_entropy(logits, labels, reduction="none") if losses is None else losses).float(),
        "top_classes": best.indices.int(),
        "top_probabilities": best.values.half(),
    }
    return {name: values.cpu().numpy() for name, values in kept.items()}
