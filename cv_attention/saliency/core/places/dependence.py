"""Finds which outputs of a model's modules a target score depends on, by the gradient of a single pass."""

from dataclasses import dataclass, fields, is_dataclass
from functools import partial
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn

from cv_attention.backbones.tracing.tensors import tensors_in
from cv_attention.saliency.core.places.probing import Place, Run
from cv_attention.saliency.core.results import Result
from cv_attention.saliency.core.targets import (
    Difference,
    Several,
    Target,
    Targets,
    each_target,
    has_callable,
    of_images,
    target_scores,
)


@dataclass(frozen=True)
class Dependence:
    """Says what a target score depends on.

    Attributes:
        names: Modules on whose output it depends, in order of completion; of maps, on the image's positions.
        reached: The same, and maps on which it depends through other tokens alone.
        vector: Whether it is computed from outputs without positions, (B, classes) or (B,).
        dense: Whether it is computed from an output (B, C, H, W).
    """

    names: list[str]
    reached: list[str]
    vector: bool
    dense: bool


def dependence(
    model: nn.Module, run: Run, targets: Targets, batch: int, places: dict[str, Place], *, strict: bool
) -> Dependence:
    """Returns what the target scores of a `run` depend on.

    Args:
        model: The model, named in errors.
        run: A forward pass of one or all of the images.
        targets: What is explained.
        batch: Number of images that `targets` are for.
        places: What is known of the outputs.
        strict: Whether classes as targets require logits.
    """
    result = Result(run.result, len(run.images), type(model).__name__)
    leaves = [leaf for leaf in tensors_in(run.result) if leaf.is_floating_point() and leaf.requires_grad]
    with torch.enable_grad():
        part = slice(len(run.images))
        some = [of_images(target, part, batch) if callable(target) else target for target in each_target(targets)]
        score, plain = _score(result, some, leaves, strict)
    if not score.requires_grad:  # as in models that turn gradients off: nothing can be left out
        return Dependence(list(run.outputs), list(run.outputs), True, False)
    outputs = list(run.outputs.values())
    gradients = torch.autograd.grad(score, [*outputs, *leaves], allow_unused=True)
    own, of_leaves = gradients[: len(outputs)], gradients[len(outputs) :]
    used = [leaf for leaf, g in zip(leaves, of_leaves, strict=True) if g is not None and bool((g != 0).any())]
    names = [name for name, g in zip(run.outputs, own, strict=True) if _counts(g, places.get(name))]
    reached = [name for name, g in zip(run.outputs, own, strict=True) if _counts(g, None)]
    if not names:  # a head of zeros: what the score is connected with
        names = [name for name, g in zip(run.outputs, own, strict=True) if g is not None]
    vector = plain or all(leaf.dim() <= 2 and len(leaf) == len(run.images) for leaf in used)
    return Dependence(names, reached or names, vector, not vector and any(leaf.dim() >= 4 for leaf in used))


def _score(result: Result, targets: list[Target], leaves: list[Tensor], strict: bool) -> tuple[Tensor, bool]:
    """Returns a number that depends on what the targets' scores depend on, and whether it is of logits alone."""
    total, plain = torch.zeros(()), True
    for target in targets:
        if has_callable(target):
            total, plain = total + target_scores(result, target).float().sum().cpu(), False
        elif strict or result.has_logits:
            total = total + _weighted(result.logits)
        else:
            total, plain = total + sum(_weighted(leaf) for leaf in leaves), False
    return total, plain


def _weighted(values: Tensor) -> Tensor:
    """Sums values with weights that no normalisation cancels."""
    weights = torch.linspace(1, 2, values.shape[-1] if values.dim() else 1, device=values.device)
    return (values.float() * weights).sum().cpu()


def _counts(gradient: Tensor | None, place: Place | None) -> bool:
    """Returns whether a gradient is not zero, for each image; of a map, at the image's positions."""
    if gradient is None:
        return False
    grid = place.grid if place is not None else None
    return bool((grid(gradient) if grid else gradient).flatten(1).ne(0).any(1).all())


def signature(target: Any) -> Any:
    """Returns what tells the kinds of targets apart that may use different outputs of a model: all classes are alike.

    A callable is known by its code, and by the values in it; a tensor there by its shape.
    """
    if isinstance(target, Several):
        return ("several", *map(signature, target.targets))
    if isinstance(target, Difference):
        return ("difference", signature(target.first), signature(target.second))
    return _content(target) if callable(target) else "classes"


def _content(value: Any) -> Any:
    if isinstance(value, Tensor):
        return ("tensor", tuple(value.shape))
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, tuple | list):
        return tuple(map(_content, value))
    if isinstance(value, partial):
        return ("partial", _content(value.func), _content(value.args), _content(tuple(value.keywords.items())))
    if isinstance(value, FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        return ("function", value.__code__, *map(_content, [*cells, *(value.__defaults__ or ())]))
    if is_dataclass(value) and not isinstance(value, type):
        return (type(value), *(_content(getattr(value, one.name)) for one in fields(value)))
    return ("object", id(value))
