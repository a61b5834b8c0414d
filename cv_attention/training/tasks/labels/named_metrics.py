"""Defines metrics of classes by short names, computed by torchmetrics, with one or several classes per image."""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.classification import (
    MulticlassAUROC,
    MulticlassAveragePrecision,
    MulticlassF1Score,
    MulticlassPrecision,
    MulticlassRecall,
    MultilabelAUROC,
    MultilabelAveragePrecision,
    MultilabelExactMatch,
    MultilabelF1Score,
    MultilabelPrecision,
    MultilabelPrecisionRecallCurve,
    MultilabelRecall,
)
from torchmetrics.utilities import dim_zero_cat

from cv_attention.suggest import suggest


class BalancedAccuracy(MulticlassRecall):
    """Computes the mean recall of the classes that have images, as scikit-learn does.

    Args:
        num_classes: Number of classes.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes, average="none")

    def compute(self) -> Tensor:
        """Returns the mean ()."""
        state: Any = self
        return super().compute()[(state.tp + state.fn).flatten() > 0].mean()


class _Ranking:
    """Averages a metric of ranked probabilities over the classes that it is defined for.

    A class without images, or for the area under the ROC curve without others, counts for torchmetrics as 0.
    """

    needs_negatives = False
    by_class: Tensor  # (C,), NaN where it is not defined; once computed

    def compute(self: Any) -> Tensor:
        """Returns the mean ()."""
        target, scores = dim_zero_cat(self.target), super().compute()  # pyright: ignore[reportAttributeAccessIssue]
        classes = len(scores)
        there = target.sum(0) if target.ndim == 2 else torch.bincount(target, minlength=classes)[:classes]
        defined = (there > 0) & ((there < len(target)) | (not self.needs_negatives))
        self.by_class = torch.where(defined, scores, torch.nan)
        return self.by_class.nanmean()


class _OfLogits(_Ranking):
    """Takes logits: torchmetrics would take some for probabilities, in batches in which they happen to be in [0, 1]."""

    def update(self: Any, preds: Tensor, target: Tensor) -> None:
        """Adds a batch of logits (B, C) and classes (B,)."""
        super().update(preds.softmax(1), target)  # pyright: ignore[reportAttributeAccessIssue]


class MeanAveragePrecision(_OfLogits, MulticlassAveragePrecision):
    """Computes the mean over classes of the average precision, each class against the rest."""


class MeanAUROC(_OfLogits, MulticlassAUROC):
    """Computes the mean over classes of the area under the ROC curve, each class against the rest."""

    needs_negatives = True


class LabelMeanAveragePrecision(_Ranking, MultilabelAveragePrecision):
    """Computes the mean over classes of the average precision, from probabilities."""


class LabelMeanAUROC(_Ranking, MultilabelAUROC):
    """Computes the mean over classes of the area under the ROC curve, from probabilities."""

    needs_negatives = True


class BestThresholds(MultilabelPrecisionRecallCurve):
    """Finds the threshold of each class with the highest F1 score, from probabilities."""

    def compute(self) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Returns the thresholds (C,), each between the probabilities of two images; 0.5 for a class without images."""
        target = dim_zero_cat(self.target)
        curves: Any = super().compute()
        found = [
            _best(precision, recall, at) if bool((target[:, place] == 1).any()) else 0.5
            for place, (precision, recall, at) in enumerate(zip(*curves, strict=True))
        ]
        return torch.tensor(found, dtype=torch.float64)


def _best(precision: Tensor, recall: Tensor, thresholds: Tensor) -> float:
    f1 = 2 * precision[:-1] * recall[:-1] / (precision[:-1] + recall[:-1]).clamp(min=1e-12)
    place = int(f1.argmax())
    below = float(thresholds[place - 1]) if place else 0.0
    return (below + float(thresholds[place])) / 2


Make = Callable[[int], Metric]
_SINGLE: dict[str, Make] = {
    "balanced_accuracy": BalancedAccuracy,
    "f1_macro": lambda classes: MulticlassF1Score(classes, average="macro"),
    "f1_micro": lambda classes: MulticlassF1Score(classes, average="micro"),
    "precision_macro": lambda classes: MulticlassPrecision(classes, average="macro"),
    "recall_macro": lambda classes: MulticlassRecall(classes, average="macro"),
    "auroc": lambda classes: MeanAUROC(classes, average="none"),
    "map": lambda classes: MeanAveragePrecision(classes, average="none"),
}
_MULTI: dict[str, Make] = {
    "map": lambda classes: LabelMeanAveragePrecision(classes, average="none"),
    "auroc": lambda classes: LabelMeanAUROC(classes, average="none"),
    "f1_macro": lambda classes: MultilabelF1Score(classes, average="macro"),
    "f1_micro": lambda classes: MultilabelF1Score(classes, average="micro"),
    "recall_macro": lambda classes: MultilabelRecall(classes, average="macro"),
    "precision_macro": lambda classes: MultilabelPrecision(classes, average="macro"),
    "subset_accuracy": MultilabelExactMatch,
}
USUAL = ("map", "f1_macro", "f1_micro", "auroc", "subset_accuracy")  # with several classes per image


def named_metric(name: str, classes: int, targets: Literal["single", "multi"]) -> Metric:
    """Creates a metric by its short name; with several classes per image it takes probabilities, else logits.

    Raises:
        ValueError: if the name is unknown.
    """
    known = _SINGLE if targets == "single" else _MULTI
    if name not in known:
        raise ValueError(f"log.metrics: unknown metric {name!r}{suggest(name, list(known))}")
    return known[name](classes)
