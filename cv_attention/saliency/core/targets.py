"""Defines what is explained: one or several scores per image, computed from its logits."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from operator import index
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor
from typing_extensions import TypeAliasType  # torch needs it too

from cv_attention.saliency.core.outputs.results import Result, bare_logits

Score = Callable[[Any], Tensor]  # what the model returns -> scores (B,)
# None and "predicted": the class with the largest logit; an int: this class for every image; (B,): a class for each
# image, such as its true one; a callable. Several of these per image: `Several`, or class indices (B, T).
Target = int | Sequence[int] | Tensor | str | Score | None


@dataclass(frozen=True, init=False)
class Several:
    """Combines several targets per image, explained with one forward pass: maps (B, T, H, W).

    Args:
        targets: The single targets: None or ``"predicted"``, a class index, class indices (B,), a `Difference`, or a
            callable from the model's output to scores (B,).

    Raises:
        ValueError: if there are none, or one is `Several` itself.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4)
        >>> images = torch.randn(2, 3, 32, 32)
        >>> cva.saliency.grad_cam(model, images, cva.saliency.Several("predicted", 3, 7)).shape
        torch.Size([2, 3, 32, 32])
    """

    targets: tuple[Target, ...]

    def __init__(self, *targets: Target) -> None:
        if not targets or any(isinstance(target, Several) for target in targets):
            raise ValueError(f"Several takes at least one target, none of which may be Several, got {targets}")
        object.__setattr__(self, "targets", targets)


Targets = TypeAliasType("Targets", Target | Sequence[Sequence[int]] | Several)  # signatures show the name


@dataclass(frozen=True)
class Difference:
    """Defines the target "`first` rather than `second`": the difference of their scores.

    Attributes:
        first: Any single target.
        second: The target to compare with, in the same forms.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4)
        >>> images = torch.randn(2, 3, 32, 32)
        >>> why = cva.saliency.Difference("predicted", 7)  # why the predicted class rather than class 7
        >>> cva.saliency.grad_cam(model, images, why).shape
        torch.Size([2, 1, 32, 32])
        >>> cva.saliency.Difference(0, 1)(torch.tensor([[3.0, 1.0]]))
        tensor([2.])
    """

    first: Target
    second: Target

    def __call__(self, output: Any) -> Tensor:
        """Computes the scores (B,) of what the model returned: logits (B, classes), or what its parts accept."""
        return target_scores(output, self.first) - target_scores(output, self.second)


@runtime_checkable
class PerImage(Protocol):
    """A callable target with entries for each image, such as their boxes or masks."""

    def __call__(self, output: Any, /) -> Tensor:
        """Computes the scores (B,) of what the model returned."""
        ...

    def of_part(self, part: slice, batch: int) -> Score:
        """Returns the target of the images in `part` of a batch."""
        ...


def each_target(targets: Targets) -> list[Target]:
    """Returns the targets as a list: those of `Several`, the columns of (B, T), or the single one."""
    if isinstance(targets, Several):
        return list(targets.targets)
    if targets is None or isinstance(targets, str) or callable(targets):
        return [targets]
    try:
        classes = torch.as_tensor(targets)
    except (TypeError, ValueError, RuntimeError):
        return [targets]  # pyright: ignore[reportReturnType]  # `classes_of` reports the mistake
    if (
        classes.dim() == 2
        and classes.shape[1] > 2
        and classes.dtype != torch.bool
        and classes.unique().tolist() == [0, 1]
    ):
        raise ValueError(
            f"targets (B, {classes.shape[1]}) of zeros and ones are read as class indices, not as labels that apply; "
            "explain a label with cv_attention.saliency.targets.multi_label"
        )
    return list(classes.unbind(1)) if classes.dim() == 2 and classes.shape[1] else [targets]  # pyright: ignore[reportReturnType]


def target_scores(output: Result | Tensor, targets: Targets) -> Tensor:
    """Returns the scores (B,) of a single target in what the model returned, in its graph.

    Args:
        output: What the model returned; a tensor has one entry per image.
        targets: A single target. Classes need logits (B, classes), a callable gets the model's output as it is.

    Raises:
        ValueError: if `targets` has none of the forms of `Target`, has another length than the batch, or contains a
            class that the model does not have; if a callable does not return one score per image.
    """
    result = output if isinstance(output, Result) else Result(output, len(output))
    if isinstance(targets, Difference):
        return target_scores(result, targets.first) - target_scores(result, targets.second)
    if not callable(targets):
        logits = result.logits
        return logits.gather(1, classes_of(logits, targets)[:, None])[:, 0]
    scores = targets(result.value)
    if isinstance(scores, Tensor) and scores.shape == (result.batch,) and scores.is_floating_point():
        return scores
    got: Any = type(scores).__name__
    if isinstance(scores, Tensor):
        got = tuple(scores.shape) if scores.shape != (result.batch,) else scores.dtype
    raise ValueError(f"targets must return scores of shape ({result.batch},), one per image, got {got}")


def score_columns(output: Result | Tensor, targets: Targets) -> Tensor:
    """Returns the scores (B, T) of `targets` in what the model returned, T = 1 unless there are several.

    Raises:
        ValueError: as `target_scores`.
    """
    return torch.stack([target_scores(output, target) for target in each_target(targets)], 1)


def classes_of(logits: Tensor, targets: Any) -> Tensor:
    """Converts `targets` to class indices (B,); raises ValueError if that is not possible."""
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
        raise ValueError(f"targets must be integer class indices, got {classes.dtype}")
    if classes.shape != (batch,):
        raise ValueError(
            f"targets must have one class for each of the {batch} images, got shape {tuple(classes.shape)}"
        )
    wrong = classes[(classes < 0) | (classes >= count)].tolist()
    if wrong:
        raise ValueError(f"targets must be classes in 0..{count - 1}, got {', '.join(map(str, wrong[:5]))}")
    classes = classes.to(device=logits.device, dtype=torch.int64)
    return classes.clone() if classes.is_inference() else classes  # inference tensors cannot be used in autograd


def fix_targets(output: Result | Tensor, targets: Targets) -> list[Tensor | Score]:
    """Fixes each target, so that modified images do not change what is explained: classes (B,), or the callable.

    Raises:
        ValueError: as `target_scores`.
    """
    result = output if isinstance(output, Result) else Result(output, len(output))
    return [_fix(result, target) for target in each_target(targets)]


def _fix(result: Result, target: Target) -> Tensor | Score:
    if isinstance(target, Difference):
        return Difference(_fix(result, target.first), _fix(result, target.second))
    return target if callable(target) else classes_of(result.logits, target)


def has_callable(target: Target) -> bool:
    """Returns whether a single target contains a callable, which needs the model's whole output."""
    if isinstance(target, Difference):
        return has_callable(target.first) or has_callable(target.second)
    return callable(target)


def has_class(target: Target) -> bool:
    """Returns whether a single target contains classes, which need logits."""
    if isinstance(target, Difference):
        return has_class(target.first) or has_class(target.second)
    return not callable(target)


def asks_prediction(target: Target) -> bool:
    """Returns whether resolving a single target requires the predicted class."""
    if isinstance(target, Difference):
        return asks_prediction(target.first) or asks_prediction(target.second)
    return target is None or isinstance(target, str)


def of_images(targets: Targets, part: slice, batch: int) -> Targets:
    """Returns the targets of the images in `part` of a batch.

    Raises:
        ValueError: if `targets` has another length than the batch.
    """
    if isinstance(targets, Several):
        return Several(*(of_images(target, part, batch) for target in targets.targets))  # pyright: ignore[reportArgumentType]
    if isinstance(targets, Difference):
        first, second = (of_images(target, part, batch) for target in (targets.first, targets.second))
        return Difference(first, second)  # pyright: ignore[reportArgumentType]
    if isinstance(targets, PerImage):
        return targets.of_part(part, batch)
    if targets is None or isinstance(targets, str | int) or callable(targets) or getattr(targets, "ndim", 1) == 0:
        return targets
    if len(targets) != batch:
        raise ValueError(f"targets must have one class for each of the {batch} images, got {len(targets)}")
    return targets[part]


def finer(targets: Targets, alpha: float, others: int) -> Several:
    """Returns the targets of Finer-CAM: each class against those with the closest logits, see `finer_cam`.

    Raises:
        ValueError: if `targets` is a callable, or `others` is below 1.
    """
    if any(callable(target) for target in each_target(targets)):
        raise ValueError("Finer-CAM compares classes; give class indices as targets, not a callable")
    if others < 1:
        raise ValueError(f"others must be at least 1, got {others}")

    def score(target: Target, output: Any) -> Tensor:
        logits = Result(output, len(bare_logits(output))).logits
        classes = classes_of(logits, target)[:, None]
        if logits.shape[1] < 2:
            raise ValueError(f"Finer-CAM needs at least two classes, got {logits.shape[1]}")
        own = logits.gather(1, classes)
        distance = (logits.detach() - own.detach()).abs().scatter(1, classes, -1.0)
        near = distance.argsort(dim=1, stable=True)[:, 1 : others + 1]
        others_logits = logits.gather(1, near)
        # Their probabilities over the sum of these, also where all of them vanish.
        return (others_logits.softmax(1) * (own - alpha * others_logits)).sum(1)

    return Several(*(partial(score, target) for target in each_target(targets)))
