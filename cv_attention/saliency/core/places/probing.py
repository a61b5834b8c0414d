"""Measures which outputs of a model's modules are maps of the image: whether their positions move with its patches.

One forward pass of four copies of an image, in which noise replaces the left half, the right half, and the black or the
white fields of a fixed irregular board; where there are maps of few positions, of four more: the upper and lower half,
and fields of a second board. A position that belongs to a place of the image changes more in the copies where this
place changed. Words, queries, class tokens and time steps do not, however much they depend on the image.
Feature maps that convolutions alone lead to from the image are recognised without that pass; see `lineage`.
"""

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cv_attention.saliency.core.forward import run as forward
from cv_attention.saliency.core.noise import Source
from cv_attention.saliency.core.places.layouts import Grid, grid_of_map, token_grids
from cv_attention.saliency.core.places.lineage import keeps_positions

_CERTAIN = 0.9  # correlation at which no further grid is tried
_LEAST = 0.4  # correlation below which there is no grid
_ENOUGH, _ENOUGH_OF_MANY = 2.5, 4.0  # standard deviations above chance, of one grid and of the best of many
_FEW = 16  # positions below which two patterns are too few
_LARGE = 2**21  # numbers in an image from which on the copies run one by one
_FAILURES = (RuntimeError, ValueError, IndexError, AssertionError)


@dataclass
class Run:
    """Holds a forward pass with gradients: what the model and each of its modules returned, in order of completion."""

    model: nn.Module
    modules: dict[str, nn.Module]
    images: Tensor
    part: slice | None = None
    result: Any = None
    outputs: dict[str, Tensor] = field(default_factory=dict)

    @cached_property
    def changes(self) -> "dict[str, _Change]":
        """How each output changes in copies of the images, measured when it is first asked for."""
        return _measure(self)


@dataclass(frozen=True)
class Place:
    """Says what a module's output is: the grid of the image's positions, or why it has none."""

    shape: tuple[int, ...]
    grid: Grid | None
    why: str = ""


def run_with_gradients(model: nn.Module, modules: dict[str, nn.Module], images: Tensor, *, whole: bool = False) -> Run:
    """Runs the first image, or all of them if asked or if the model takes no other number, and keeps all outputs."""
    try:
        return _run(model, modules, images) if whole else _run(model, modules, images[:1], slice(0, 1))
    except _FAILURES:
        if len(images) == 1 or whole:
            raise
        return _run(model, modules, images)


def _run(model: nn.Module, modules: dict[str, nn.Module], images: Tensor, part: slice | None = None) -> Run:
    run = Run(model, modules, images.detach().clone().requires_grad_(), part)

    def keep(name: str, output: Tensor) -> Tensor | None:
        run.outputs.pop(name, None)  # for a module that runs several times, the last run is used
        if not output.is_floating_point() or output.dim() < 2 or not output.requires_grad:
            return None
        run.outputs[name] = output
        return output.clone()  # later modules may modify it in place

    with torch.enable_grad(), watched(modules, keep):
        run.result = forward(model, run.images, part)
    return run


class Places:
    """Finds out, when asked, where the outputs of a model's modules have the positions of the image.

    Attributes:
        known: What was found out, by module.
        complete: Whether this is all.
    """

    def __init__(self) -> None:
        self.known: dict[str, Place] = {}
        self.complete = False

    def of(self, run: Run, name: str) -> Place:
        """Returns the place of an output of `run`, which is needed only the first time."""
        place = self.known.get(name)
        if place is None:
            output = run.outputs[name]
            place = self.known[name] = _by_shape(run, output) or _by_change(run, output, run.changes.get(name))
        return place

    def all(self, run: Run) -> dict[str, Place]:
        """Returns the places of all outputs, in order of completion."""
        found = {name: self.of(run, name) for name in run.outputs}
        self.complete = True
        return found


def _by_shape(run: Run, output: Tensor) -> Place | None:
    """Returns the place of an output that need not be measured, or None."""
    shape = tuple(output.shape)
    if not may_be_map(output, run.images):
        return Place(shape, None, "it is neither a map (B, C, h, w) nor tokens (B, N, C)")
    if output.dim() > 3:
        first = Grid(1, shape[2:])
        likely = prod(first.size) > 1 and grid_of_map(output, run.images) == first
        return Place(shape, first) if likely and keeps_positions(output, run.images) else None
    return Place(shape, None, "it has a single position") if shape[1] < 2 else None


def _by_change(run: Run, output: Tensor, change: "_Change | None") -> Place:
    """Returns the place of an output by how it changes with the image's patches."""
    shape = tuple(output.shape)
    if change is None:
        return Place(shape, None, "it is not computed from the image alone")
    if not change.moves:
        return Place(shape, None, "it does not change with the image")
    grid = _grid_of_map(run, output, change) if output.dim() > 3 else _grid_of_tokens(run, output, change)
    return Place(shape, grid, "" if grid is not None else "its positions do not move with the image's")


def _grid_of_map(run: Run, output: Tensor, change: "_Change") -> Grid | None:
    first, last = Grid(1, tuple(output.shape[2:])), Grid(-1, tuple(output.shape[1:-1]))
    options = [first] if grid_of_map(output, run.images).axis == 1 else [last, first]
    codes = _codes(run)
    for option in options:
        if prod(option.size) > 1 and _evidence(change.amount[option.axis], codes)[1] >= _ENOUGH:
            return option
    return None


def _grid_of_tokens(run: Run, output: Tensor, change: "_Change") -> Grid | None:
    tokens, dims = output.shape[1], run.images.dim()
    codes = _codes(run)
    maps = [grid_of_map(o, run.images).size for o in run.outputs.values() if o.dim() == dims]
    aspect = run.images.shape[-2] / run.images.shape[-1]
    most, grid = _ENOUGH_OF_MANY, None
    for option in token_grids(tokens, aspect, list(dict.fromkeys(maps)), flat=dims == 4):
        amount = change.amount[-1][:, option.before : tokens - option.after].unflatten(1, option.size)
        likeness, evidence = _evidence(amount, codes)
        if evidence > most:
            most, grid = evidence, option
            if likeness > _CERTAIN:
                break
    return grid


@dataclass(frozen=True)
class _Change:
    """How much an output changes in each copy: axis of the channels -> (copies, ...), the norm over channels."""

    amount: dict[int, Tensor]
    moves: bool  # more than by rounding


def _measure(run: Run) -> dict[str, _Change]:
    """Returns how each output of a `run` changes in the copies of its images."""
    images = run.images.detach()
    codes = _codes(run)
    masks = torch.cat([1 + codes, 1 - codes]).unsqueeze(1).to(images) / 2
    spread = float(images.float().std()) or float(images.float().abs().max()) or 1.0
    noise = Source(0).normal((1, *images.shape[1:]), images) * spread
    watched_here = {name: run.modules[name] for name, output in run.outputs.items() if may_be_map(output, images)}
    found: dict[str, _Change] = {}

    def compare(name: str, output: Tensor) -> None:
        base = run.outputs[name]
        if output.shape[1:] == base.shape[1:] and len(output) == len(base) * at_once:
            found[name] = _change(base.detach(), output.detach())

    with torch.no_grad(), watched(watched_here, compare):
        try:
            at_once = len(masks)
            if len(images) > 1 or images.numel() > _LARGE:
                raise ValueError
            forward(run.model, images + noise * masks, run.part)
            return found
        except _FAILURES:
            at_once = 1  # the model takes no other batch size, or memory is short
        rounds = []
        for start in range(0, len(masks), len(images)):
            some = (torch.arange(len(images)) + start) % len(masks)
            found = {}
            forward(run.model, images + noise * masks[some], run.part)
            rounds.append(found)
    return {
        name: _joined([one[name] for one in rounds], len(masks))
        for name in rounds[0]
        if all(name in one for one in rounds)
    }


def _change(base: Tensor, output: Tensor) -> _Change:
    square = (output.float() - base.float()) ** 2
    rounding = (32 if base.dtype == torch.float32 else 4) * torch.finfo(base.dtype).eps
    moves = float(square.amax().sqrt()) > rounding * float(base.abs().amax())
    amount = {-1: square.sum(-1).sqrt()}
    if square.dim() > 3:
        amount[1] = square.sum(1).sqrt()
    return _Change(amount, moves)


def _joined(changes: list[_Change], copies: int) -> _Change:
    amount = {axis: torch.cat([one.amount[axis] for one in changes])[:copies] for axis in changes[0].amount}
    return _Change(amount, any(one.moves for one in changes))


def may_be_map(output: Tensor, images: Tensor) -> bool:
    """Returns whether an output has the shape of a feature map of the images, or of tokens."""
    return output.dim() in (3, images.dim()) and len(output) == len(images)


def _evidence(amount: Tensor, codes: Tensor) -> tuple[float, float]:
    """Returns how well the places where an output changes (copies, h, w) fit those where the image did.

    Returns:
        The correlation, and how many standard deviations it is above chance, by Fisher's transformation; a correlation
        below 0.4 counts for nothing, however many positions there are.
    """
    shown, hidden = amount[: len(codes)], amount[len(codes) :]
    contrast = (shown - hidden) / (shown + hidden).clamp(min=1e-30)
    wanted = F.interpolate(codes.to(contrast).unsqueeze(1), contrast.shape[1:], mode="area")
    contrast, wanted = contrast.flatten(1), wanted.flatten(1)
    contrast = contrast - contrast.mean(1, keepdim=True)
    wanted = wanted - wanted.mean(1, keepdim=True)
    likeness = float((contrast * wanted).sum() / (contrast.norm() * wanted.norm()).clamp(min=1e-30))
    if likeness < _LEAST:
        return likeness, 0.0
    return likeness, math.atanh(min(likeness, 0.999)) * max(contrast.numel() - 3, 1) ** 0.5


def _codes(run: Run) -> Tensor:
    """Returns patterns of -1 and 1, (2 or 4, H, W): halves and irregular boards of 8 fields a side."""
    size, images, source = tuple(run.images.shape[2:]), run.images, Source(1)
    shapes = [o.shape[1:2] if o.dim() == 3 else o.shape[2:] for o in run.outputs.values() if may_be_map(o, images)]
    patterns = []
    for axis in (-1, -2)[: 2 if any(1 < prod(shape) < _FEW for shape in shapes) else 1]:
        half = torch.ones(size)
        half.narrow(axis, size[axis] // 2, size[axis] - size[axis] // 2).fill_(-1)
        board = (source.uniform((1, 1, *[8] * len(size)), half) < 0.5).float() * 2 - 1
        patterns += [half, F.interpolate(board, size)[0, 0]]
    return torch.stack(patterns)


@contextmanager
def watched(modules: dict[str, nn.Module], look: Callable[[str, Tensor], Tensor | None]) -> Iterator[None]:
    """Passes the output of every module but pools, in this thread, to `look`, whose result replaces it."""
    thread = threading.get_ident()

    def hook(name: str, module: nn.Module, output: object) -> Tensor | None:
        if threading.get_ident() != thread or not isinstance(output, Tensor) or "Pool" in type(module).__name__:
            return None
        return look(name, output)

    with ExitStack() as stack:
        for name, module in modules.items():
            if name:
                handle = module.register_forward_hook(lambda m, _, output, name=name: hook(name, m, output))
                stack.callback(handle.remove)
        yield
