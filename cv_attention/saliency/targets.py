"""What is explained: one score for each image, from its logits."""

from collections.abc import Callable, Sequence
from operator import index
from typing import Any

import torch
from torch import Tensor

# None and "predicted": the class with the largest logit; a number: this class for every image; (B,): a class for each
# image; a callable: logits (B, classes) -> scores (B,).
Targets = int | Sequence[int] | Tensor | str | Callable[[Tensor], Tensor] | None


def target_scores(logits: Tensor, targets: Targets) -> Tensor:
    """Returns the scores (B,) of the `targets` in `logits` (B, classes), in the logits' graph.

    Raises:
        ValueError: if `targets` is none of the forms of `Targets`, has another length than the batch, or names a class
            that the model does not have.
    """
    if callable(targets):
        scores = targets(logits)
        if not isinstance(scores, Tensor) or scores.shape != logits.shape[:1]:
            got = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
            raise ValueError(f"targets must return scores of shape ({len(logits)},), one for each image, got {got}")
        return scores
    return logits.gather(1, classes_of(logits, targets)[:, None])[:, 0]


def classes_of(logits: Tensor, targets: Any) -> Tensor:
    """Returns the classes (B,) that `targets` names; ValueError where they name none."""
    batch, count = logits.shape
    if targets is None or (isinstance(targets, str) and targets == "predicted"):
        return logits.detach().argmax(dim=1)
    if isinstance(targets, str | bool):
        raise ValueError(f"targets must be None, 'predicted', classes or a callable on logits, got {targets!r}")
    try:
        classes = torch.full((batch,), index(targets))
    except (TypeError, ValueError):  # a tensor of several raises ValueError
        try:
            classes = torch.as_tensor(targets).detach()
        except (TypeError, ValueError, RuntimeError):
            raise ValueError(f"targets must be classes or a callable on logits, got {targets!r}") from None
    if classes.dtype.is_floating_point or classes.dtype.is_complex or classes.dtype == torch.bool:
        raise ValueError(f"targets must be whole class numbers, got {classes.dtype}")
    if classes.shape != (batch,):
        raise ValueError(
            f"targets must name one class for each of the {batch} images, got shape {tuple(classes.shape)}"
        )
    wrong = classes[(classes < 0) | (classes >= count)].tolist()
    if wrong:
        raise ValueError(f"targets must be classes in 0..{count - 1}, got {', '.join(map(str, wrong[:5]))}")
    classes = classes.to(device=logits.device, dtype=torch.int64)
    return classes.clone() if classes.is_inference() else classes  # the others cannot take part in a graph


def fix_targets(logits: Tensor, targets: Targets) -> Tensor | Callable[[Tensor], Tensor]:
    """Returns `targets` such that changed images do not change what is explained: classes (B,), or the callable.

    Raises:
        ValueError: as `target_scores`.
    """
    return targets if callable(targets) else classes_of(logits, targets)


def difference(first: int, second: int) -> Callable[[Tensor], Tensor]:
    """Returns the target "rather `first` than `second`": the difference of the two classes' logits."""
    return lambda logits: target_scores(logits, first) - target_scores(logits, second)


def finer(targets: Targets, alpha: float, others: int) -> Callable[[Tensor], Tensor]:
    """Returns the target of Finer-CAM: a class against those with the nearest logits, see `finer_cam`.

    Raises:
        ValueError: if `targets` is a callable, or `others` is below 1.
    """
    if callable(targets):
        raise ValueError("Finer-CAM compares classes; give targets as classes, not as a callable")
    if others < 1:
        raise ValueError(f"others must be at least 1, got {others}")

    def score(logits: Tensor) -> Tensor:
        classes = classes_of(logits, targets)[:, None]
        if logits.shape[1] < 2:
            raise ValueError(f"Finer-CAM needs at least two classes, got {logits.shape[1]}")
        own = logits.gather(1, classes)
        distance = (logits.detach() - own.detach()).abs().scatter(1, classes, -1.0)
        near = distance.argsort(dim=1, stable=True)[:, 1 : others + 1]
        weights = logits.softmax(1).gather(1, near)
        return (weights * (own - alpha * logits.gather(1, near))).sum(1) / (weights.sum(1) + 1e-9)

    return score
