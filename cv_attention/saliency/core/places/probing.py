"""Measures which outputs of a model's modules are maps of the image: whether their positions move with its patches.

Two small forward passes per model and image size: one of the image, one of four copies of it, in which noise replaces
the left half, the right half, and the black or the white fields of a fixed irregular board. A position that belongs to
a place of the image changes more in the copies where this place changed. Words, queries, class tokens and time steps
do not, however much they depend on the image.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cv_attention.saliency.core.noise import Source
from cv_attention.saliency.core.places.layouts import Grid, grid_of_map, token_grids
from cv_attention.saliency.core.places.lineage import keeps_positions

_COPIES = 4
_CERTAIN = 0.9  # correlation at which no further grid is tried


@dataclass
class Run:
    """Holds a forward pass with gradients: what the model and each of its modules returned, in order of completion."""

    images: Tensor
    result: Any
    outputs: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Place:
    """Says what a module's output is: the grid of the image's positions, or why it has none."""

    shape: tuple[int, ...]
    grid: Grid | None
    why: str = ""


def run_with_gradients(model: nn.Module, modules: dict[str, nn.Module], images: Tensor, *, whole: bool = False) -> Run:
    """Runs the first image, or all of them if asked or if the model takes no other number, and keeps all outputs."""
    try:
        if whole:
            return _run(model, modules, images)
        return _run(model, modules, images[:1])
    except (RuntimeError, ValueError, IndexError, AssertionError):
        if len(images) == 1:
            raise
        return _run(model, modules, images)


def _run(model: nn.Module, modules: dict[str, nn.Module], images: Tensor) -> Run:
    run = Run(images.detach().clone().requires_grad_(), None)

    def keep(name: str, output: Tensor) -> Tensor | None:
        if not output.is_floating_point() or output.dim() < 2 or not output.requires_grad:
            run.outputs.pop(name, None)
            return None
        run.outputs.pop(name, None)  # for a module that runs several times, the last run is used
        run.outputs[name] = output
        return output.clone()  # later modules may modify it in place

    with torch.enable_grad(), watched(modules, keep):
        run.result = model(run.images)
    return run


def measure(model: nn.Module, modules: dict[str, nn.Module], run: Run) -> dict[str, Place]:
    """Returns what each output of a `run` is, by module."""
    changes = _changes(model, modules, run)
    codes = _codes(*run.images.shape[-2:])
    places: dict[str, Place] = {}
    for name, output in run.outputs.items():
        if output.dim() in (3, 4) and len(output) == len(run.images):
            sizes = list({p.grid.size: None for p in places.values() if p.grid is not None and len(p.shape) == 4})
            places[name] = _place(output, changes.get(name), run.images, codes, sizes)
    return places


def _changes(model: nn.Module, modules: dict[str, nn.Module], run: Run) -> dict[str, Tensor]:
    """Returns how much each output changes in the four copies, squared: (4, *shape of one output)."""
    images, outputs = run.images.detach(), run.outputs
    codes = _codes(*images.shape[-2:])
    masks = torch.cat([1 + codes, 1 - codes])[:, None].to(images) / 2
    spread = float(images.float().std()) or float(images.float().abs().max()) or 1.0
    noise = Source(0).normal((1, *images.shape[1:]), images) * spread
    found: dict[str, Tensor] = {}

    def compare(name: str, output: Tensor) -> None:
        base = outputs.get(name)
        if base is not None and output.shape[1:] == base.shape[1:] and len(output) == len(base) * at_once:
            found[name] = (output.detach().float() - base.detach().float()) ** 2

    with torch.no_grad(), watched(modules, compare):
        try:
            at_once = _COPIES
            if len(images) > 1:
                raise ValueError
            model(images + noise * masks)
            return found
        except (RuntimeError, ValueError, IndexError, AssertionError):
            at_once = 1  # the model takes no other batch size
        rounds = []
        for start in range(0, _COPIES, len(images)):
            some = (torch.arange(len(images)) + start) % _COPIES
            found = {}
            model(images + noise * masks[some])
            rounds.append(found)
    return {
        name: torch.cat([one[name] for one in rounds])[:_COPIES]
        for name in rounds[0]
        if all(name in one for one in rounds)
    }


def _place(output: Tensor, change: Tensor | None, images: Tensor, codes: Tensor, sizes: list[tuple[int, int]]) -> Place:
    """Returns where an output has the positions of the image."""
    shape = tuple(output.shape)
    if change is None:
        return Place(shape, None, "it is not computed from the image alone")
    rounding = (32 if output.dtype == torch.float32 else 4) * torch.finfo(output.dtype).eps
    if float(change.amax().sqrt()) <= rounding * float(output.detach().abs().amax()):
        return Place(shape, None, "it does not change with the image")
    if output.dim() == 4:
        return _place_map(output, change, images, codes)
    best, grid = 0.0, None
    for option in token_grids(shape[1], images.shape[-2] / images.shape[-1], sizes):
        likeness = _likeness(option(change), codes)
        if likeness > best:
            best, grid = likeness, option
        if best > _CERTAIN:
            break
    if grid is None or best < _needed(grid.size):
        return Place(shape, None, "its positions do not move with the image's")
    return Place(shape, grid)


def _place_map(output: Tensor, change: Tensor, images: Tensor, codes: Tensor) -> Place:
    shape = tuple(output.shape)
    first, last = Grid(1, (shape[2], shape[3])), Grid(-1, (shape[1], shape[2]))
    likely = grid_of_map(output, images)
    options = [likely] if likely.axis == 1 else [last, first]
    options = [option for option in options if option.size[0] * option.size[1] > 1]
    if not options:
        return Place(shape, None, "it has a single position")
    for option in options:
        if _likeness(option(change), codes) >= _needed(option.size):
            return Place(shape, option)
    if first in options and keeps_positions(output, images):
        return Place(shape, first)
    return Place(shape, None, "its positions do not move with the image's")


def _needed(size: tuple[int, int]) -> float:
    """Returns the correlation that chance does not reach: three standard deviations for two values per position."""
    return min(0.75, max(0.4, 3 / (2 * size[0] * size[1]) ** 0.5))


def _likeness(change: Tensor, codes: Tensor) -> float:
    """Returns the correlation of where an output changes (4, C, h, w) with where the image did."""
    amount = change.sum(1).sqrt()
    shown, hidden = amount[: len(codes)], amount[len(codes) :]
    contrast = (shown - hidden) / (shown + hidden).clamp(min=1e-30)
    wanted = F.interpolate(codes.to(contrast)[:, None], contrast.shape[1:], mode="area")[:, 0]
    contrast = contrast - contrast.mean((1, 2), keepdim=True)
    wanted = wanted - wanted.mean((1, 2), keepdim=True)
    return float((contrast * wanted).sum() / (contrast.norm() * wanted.norm()).clamp(min=1e-30))


def _codes(height: int, width: int) -> Tensor:
    """Returns two patterns of -1 and 1, (2, height, width): left and right, and an irregular board of 8 x 8 fields."""
    halves = torch.ones(height, width)
    halves[:, width // 2 :] = -1
    board = (Source(1).uniform((1, 1, 8, 8), halves) < 0.5).float() * 2 - 1
    return torch.stack([halves, F.interpolate(board, (height, width))[0, 0]])


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
