"""Finds which outputs of a model's modules a target score depends on, by the gradient of a single pass."""

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from functools import partial
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn

from cv_attention.backbones.tracing.tensors import tensors_in
from cv_attention.saliency.core.outputs.results import Result
from cv_attention.saliency.core.places.probing import Places, Run
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


class Dependence:
    """Says what the target scores of a run depend on; gradients are computed only as far back as asked.

    Args:
        model: The model, named in errors.
        run: A forward pass of one or all of the images.
        targets: What is explained.
        batch: Number of images that `targets` are for.
        strict: Whether classes as targets require logits.

    Attributes:
        vector: Whether the score is computed from outputs without positions, (B, classes) or (B,).
        dense: Whether it is computed from an output (B, C, H, W).
    """

    def __init__(self, model: nn.Module, run: Run, targets: Targets, batch: int, *, strict: bool) -> None:
        self.run, self._found = run, {}
        result = Result(run.result, len(run.images), type(model).__name__)
        leaves = [leaf for leaf in tensors_in(run.result) if leaf.is_floating_point() and leaf.requires_grad]
        with torch.enable_grad():
            part = slice(len(run.images))
            some: list[Any] = [
                of_images(target, part, batch) if callable(target) else target for target in each_target(targets)
            ]
            self._score, plain = _score(result, some, leaves, strict)
        self.vector, self.dense = True, False
        if not plain and self._score.requires_grad:
            gradients = torch.autograd.grad(self._score, leaves, allow_unused=True, retain_graph=True)
            used = [leaf for leaf, g in zip(leaves, gradients, strict=True) if g is not None and bool((g != 0).any())]
            self.vector = all(leaf.dim() <= 2 and len(leaf) == len(run.images) for leaf in used)
            self.dense = not self.vector and any(leaf.dim() >= 4 for leaf in used)

    def reaches(self, names: Sequence[str], places: Places | None = None) -> list[bool]:
        """Returns whether the score depends on each of the outputs `names`, and of maps, on the image's positions.

        Args:
            names: Modules.
            places: Where the outputs have the image's positions; None asks for a dependence on any of their numbers.
        """
        if not self._score.requires_grad:  # as in models that turn gradients off: nothing can be left out
            return [True] * len(names)
        asked = [name for name in names if name not in self._found]
        if asked:
            outputs = [self.run.outputs[name] for name in asked]
            found = torch.autograd.grad(self._score, outputs, allow_unused=True, retain_graph=True)
            self._found.update(zip(asked, found, strict=True))
        return [self._counts(name, places) for name in names]

    def connected(self, names: Sequence[str]) -> list[bool]:
        """Returns whether each of the outputs is part of the score's graph, as behind a head of zeros."""
        self.reaches(names)
        return [self._found.get(name) is not None for name in names]

    def reads_an_end(self, name: str) -> bool:
        """Returns whether of tokens (B, N, C) the score depends on the first or the last alone."""
        gradient = self._found[name] if self._score.requires_grad else None
        if gradient is None or gradient.shape[1] < 3:
            return False
        rows = gradient.ne(0).any(2).any(0)
        return bool(rows.any()) and not (bool(rows[1:].any()) and bool(rows[:-1].any()))

    def _counts(self, name: str, places: Places | None) -> bool:
        """Returns whether the gradient is not zero, for each image; of a map, at the image's positions."""
        gradient = self._found[name]
        if gradient is None:
            return False
        if not bool(gradient.flatten(1).ne(0).any(1).all()):
            return False
        grid = places.of(self.run, name).grid if places is not None else None
        return grid is None or bool(grid(gradient).flatten(1).ne(0).any(1).all())


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
