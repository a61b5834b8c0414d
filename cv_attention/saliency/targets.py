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
    return logits.gather(1, _classes(logits, targets)[:, None])[:, 0]


def _classes(logits: Tensor, targets: Any) -> Tensor:
    """The classes (B,) that `targets` names, checked."""
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
    return classes.to(device=logits.device, dtype=torch.int64)
