"""Computes the losses of classifiers: cross-entropy, binary cross-entropy and focal loss, with class weights."""

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from cv_attention.config import Loss
from cv_attention.suggest import suggest

Targets = Literal["single", "multi"]


class ClassLoss(nn.Module):
    """Computes the loss of logits (B, classes), image by image or as their mean.

    Binary cross-entropy is timm's, the focal loss torchvision's. Labels are smoothed towards the same share of every
    class, or towards 1/2 where an image may have several; labels that are mixed already are smoothed alike.

    Args:
        config: The loss and its options.
        smoothing: Label smoothing in [0, 1).
        weights: Weight of each class, or None: with one class per image a factor of the loss of its images, with
            several that of the images that have the class.
        classes: Number of classes.
        targets: ``single``, or ``multi`` where an image may have several classes.

    Examples:
        >>> import torch
        >>> from cv_attention.config import Loss
        >>> from cv_attention.training.tasks.labels.losses import ClassLoss
        >>> loss = ClassLoss(Loss("bce"), 0.0, None, classes=2, targets="multi")
        >>> loss(torch.zeros(3, 2), torch.tensor([[1, 0], [1, 1], [0, 0]]))
        tensor(0.6931)
    """

    weights: Tensor | None

    def __init__(
        self, config: Loss, smoothing: float, weights: Sequence[float] | None, *, classes: int, targets: Targets
    ) -> None:
        super().__init__()
        self.config, self.label_smoothing, self.classes, self.targets = config, smoothing, classes, targets
        self.name = {"single": "cross_entropy", "multi": "bce"}[targets] if config.name == "auto" else config.name
        given = None if weights is None else torch.tensor(weights)
        self.register_buffer("weights", given, persistent=False)  # checkpoints hold the network alone

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Computes the mean loss () of `logits` (B, classes) and `labels`, (B,) or (B, classes)."""
        if self.name == "cross_entropy" and self.weights is None:
            return functional.cross_entropy(logits, labels, label_smoothing=self.label_smoothing)
        return self.each(logits, labels).mean()

    def each(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Computes the loss (B,) of each image from `logits` (B, classes) and `labels`, (B,) or (B, classes)."""
        smoothing = self.label_smoothing
        if self.name == "cross_entropy":
            weight = None if self.weights is None else self.weights.to(logits.dtype)
            return functional.cross_entropy(logits, labels, weight=weight, reduction="none", label_smoothing=smoothing)
        logits = logits if logits.dtype == torch.float64 else logits.float()
        shares = self._shares(labels, logits)
        losses = self._of_classes(logits, self._smoothed(shares))
        losses = losses.sum(1) if self.config.sum_classes else losses.mean(1)
        if self.weights is None or self.targets == "multi":
            return losses
        return losses * (shares * self.weights.to(shares.dtype)).sum(1)

    def _shares(self, labels: Tensor, logits: Tensor) -> Tensor:
        """Labels as a share of every class (B, classes)."""
        if labels.ndim == 1:
            labels = functional.one_hot(labels, self.classes)
        return labels.to(logits.dtype)

    def _smoothed(self, shares: Tensor) -> Tensor:
        target = 1 / self.classes if self.targets == "single" else 0.5
        return shares * (1 - self.label_smoothing) + self.label_smoothing * target

    def _of_classes(self, logits: Tensor, shares: Tensor) -> Tensor:
        """The loss of every class (B, classes)."""
        positive = self.weights.to(logits.dtype) if self.weights is not None and self.targets == "multi" else None
        if self.name == "bce":
            from timm.loss import BinaryCrossEntropy

            threshold = self.config.target_threshold
            bce = BinaryCrossEntropy(smoothing=0.0, target_threshold=threshold, reduction="none", pos_weight=positive)
            return bce(logits, shares)
        from torchvision.ops import sigmoid_focal_loss

        alpha = -1.0 if self.config.focal_alpha is None else self.config.focal_alpha
        losses = sigmoid_focal_loss(logits, shares, alpha=alpha, gamma=self.config.focal_gamma)
        return losses if positive is None else losses * (1 + (positive - 1) * shares)


def class_weights(
    wanted: Literal["balanced"] | Mapping[str, float] | None,
    names: Sequence[str],
    counts: Sequence[int],
    images: int,
    targets: Targets,
) -> list[float] | None:
    """Returns the weight of each class that ``loss.class_weights`` asks for; None for no weights.

    Args:
        wanted: ``loss.class_weights``.
        names: Names of the classes.
        counts: Number of training images of each class; empty where unknown.
        images: Number of training images.
        targets: ``single`` or ``multi``.

    Raises:
        ValueError: if a name is unknown, or the numbers of images are not known.
    """
    if wanted is None:
        return None
    if wanted != "balanced":
        for name in wanted:
            if name not in names:
                raise ValueError(f"loss.class_weights: unknown class {name!r}{suggest(str(name), list(names))}")
        return [float(wanted.get(name, 1.0)) for name in names]
    if len(counts) != len(names):
        raise ValueError(
            "loss.class_weights is balanced, but the data do not say how many training images each class has: name the "
            "weights, or let training_targets of the data module return the labels"
        )
    if targets == "multi":
        return [(images - count) / count if 0 < count < images else 1.0 for count in counts]
    return [images / (len(names) * count) if count else 1.0 for count in counts]
