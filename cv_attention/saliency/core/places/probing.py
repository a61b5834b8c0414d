"""Measures which outputs of a model's modules are maps of the image: whether their positions move with its patches.

One forward pass of four copies of an image, in which noise replaces the left half, the right half, and the black or the
white fields of a fixed irregular board; for maps of few positions, of four more: the upper and lower half, and fields
of a second board. A position that belongs to a place of the image changes more in the copies where this place changed;
words, queries and class tokens do not. Maps and tokens that convolutions, views and residual sums alone lead to from
the image are recognised without that pass; see `lineage`.
"""

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

from cv_attention.maps.grids import alike
from cv_attention.saliency.core.forward import run as forward
from cv_attention.saliency.core.noise import Source
from cv_attention.saliency.core.places.evidence import Change, change_of, evidence_of, joined
from cv_attention.saliency.core.places.extent import missing_part
from cv_attention.saliency.core.places.layouts import Grid, grid_of_map, token_grids
from cv_attention.saliency.core.places.lineage import keeps_positions

_CERTAIN = 0.9  # correlation at which no further grid is tried
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
    def sizes(self) -> set[tuple[int, ...]]:
        """The sizes of the maps (B, C, h, w) that convolutions alone lead to from the images."""
        dims = self.images.dim()
        maps = [(output, Grid(1, tuple(output.shape[2:]))) for output in self.outputs.values() if output.dim() == dims]
        return {grid.size for output, grid in maps if keeps_positions(output, grid, self.images)}

    @cached_property
    def changes(self) -> dict[str, Change]:
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
        place = self.followed(run, name)
        if place is None:
            place = self.known[name] = _by_change(run, run.outputs[name], run.changes.get(name))
        return place

    def followed(self, run: Run, name: str) -> Place | None:
        """Returns the place of an output if it is known without a measurement, else None."""
        if name not in self.known:
            place = _by_shape(run, run.outputs[name])
            if place is None:
                return None
            self.known[name] = place
        return self.known[name]

    def all(self, run: Run) -> dict[str, Place]:
        """Returns the places of all outputs, in order of completion."""
        found = {name: self.of(run, name) for name in run.outputs}
        self.complete = True
        return found


def _by_shape(run: Run, output: Tensor) -> Place | None:
    """Returns the place of an output that need not be measured, by its shape or its lineage, or None."""
    shape = tuple(output.shape)
    if not may_be_map(output, run.images):
        return Place(shape, None, "it is neither a map (B, C, h, w) nor tokens (B, N, C)")
    if output.dim() == 3 and shape[1] < 2:
        return Place(shape, None, "it has a single position")
    options = list(_grids_of_map(run, output) if output.dim() > 3 else _grids_of_tokens(run, output))
    for grid in options:
        if keeps_positions(output, grid, run.images):
            return Place(shape, grid)
    if any(_may_be_grid(run, grid) for grid in options):
        return None
    return Place(shape, None, "it has not the image's proportions" if options else "it has a single position")


def _by_change(run: Run, output: Tensor, change: Change | None) -> Place:
    """Returns the place of an output by how it changes with the image's patches."""
    shape = tuple(output.shape)
    if change is None:
        return Place(shape, None, "it is not computed from the image alone")
    if not change.moves:
        return Place(shape, None, "it does not change with the image")
    grid = _grid_of_map(run, output, change) if output.dim() > 3 else _grid_of_tokens(run, output, change)
    why = (
        missing_part(output, grid.size, run.images)
        if grid is not None
        else "its positions do not move with the image's"
    )
    return Place(shape, None if why else grid, why)


def _grids_of_map(run: Run, output: Tensor) -> list[Grid]:
    """Returns the grids that a map may have, the likely one first."""
    first, last = Grid(1, tuple(output.shape[2:])), Grid(-1, tuple(output.shape[1:-1]))
    options = [first] if grid_of_map(output, run.images).axis == 1 else [last, first]
    return [option for option in options if prod(option.size) > 1]


def _grids_of_tokens(run: Run, output: Tensor) -> Iterator[Grid]:
    dims = run.images.dim()
    maps = [grid_of_map(o, run.images).size for o in run.outputs.values() if o.dim() == dims]
    aspect = run.images.shape[-2] / run.images.shape[-1]
    return token_grids(output.shape[1], aspect, list(dict.fromkeys(maps)), flat=dims == 4)


def _may_be_grid(run: Run, grid: Grid) -> bool:
    """Returns whether a grid has the proportions of the image, or of one of the maps that convolutions made of it.

    A single row or column is none: it holds means of others, as in strip pooling. What layers compute with, such as
    queries (B, heads, tokens, channels), is left out without being measured.
    """
    sides = run.images.shape[2:]
    if any(size == 1 < side for size, side in zip(grid.size, sides, strict=True)):
        return False
    if len(sides) != 2 or grid.size in run.sizes:
        return True
    height, width = grid.size
    return alike(height, width, sides[0] / sides[1])


def _grid_of_map(run: Run, output: Tensor, change: Change) -> Grid | None:
    codes = _codes(run)
    options = [option for option in _grids_of_map(run, output) if _may_be_grid(run, option)]
    return next((one for one in options if evidence_of(change.amount[one.axis], codes)[1] >= _ENOUGH), None)


def _grid_of_tokens(run: Run, output: Tensor, change: Change) -> Grid | None:
    codes = _codes(run)
    most, grid = _ENOUGH_OF_MANY, None
    for option in _grids_of_tokens(run, output):
        if not _may_be_grid(run, option):
            continue
        amount = change.amount[-1][:, option.before : output.shape[1] - option.after].unflatten(1, option.size)
        likeness, evidence = evidence_of(amount, codes)
        if evidence > most:
            most, grid = evidence, option
            if likeness > _CERTAIN:
                break
    return grid


def _measure(run: Run) -> dict[str, Change]:
    """Returns how each output of a `run` changes in the copies of its images."""
    images = run.images.detach()
    codes = _codes(run)
    masks = torch.cat([1 + codes, 1 - codes]).unsqueeze(1).to(images) / 2
    spread = float(images.float().std()) or float(images.float().abs().max()) or 1.0
    noise = Source(0).normal((1, *images.shape[1:]), images) * spread
    watched_here = {name: run.modules[name] for name, output in run.outputs.items() if may_be_map(output, images)}
    found: dict[str, Change] = {}

    def compare(name: str, output: Tensor) -> None:
        base = run.outputs[name]
        if output.shape[1:] == base.shape[1:] and len(output) == len(base) * at_once:
            found[name] = change_of(base.detach(), output.detach())

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
        name: joined([one[name] for one in rounds], len(masks))
        for name in rounds[0]
        if all(name in one for one in rounds)
    }


def may_be_map(output: Tensor, images: Tensor) -> bool:
    """Returns whether an output has the shape of a feature map of the images, or of tokens."""
    return output.dim() in (3, images.dim()) and len(output) == len(images)


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
