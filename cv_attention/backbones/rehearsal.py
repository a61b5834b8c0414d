"""Runs one block alone on its site's shape: its shape, its cost, and what it forbids."""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode


@dataclass(frozen=True)
class Rehearsal:
    """What was learnt.

    Attributes:
        flops: Floating-point operations for one image.
        fresh: Whether its gradient needs the block's output unchanged, so that ``y += z`` breaks it.
    """

    flops: int
    fresh: bool


def rehearse(block: nn.Module, shape: tuple[int, int, int], site: str, label: str) -> Rehearsal:
    """Tries a copy of `block` on (1, *shape), without computing anything where the block allows it.

    Raises:
        ValueError: if the block fails, changes its input in place, or returns another shape.
    """
    like = next((p for p in block.parameters() if p.is_floating_point()), torch.empty(0))
    where = f"block {label} at site {site!r}"
    try:
        return _run(
            copy.deepcopy(block).to("meta"), torch.empty(1, *shape, dtype=like.dtype, device="meta"), where
        )
    except ValueError:
        raise
    except Exception:  # the block computes with numbers, which meta tensors do not have
        pass
    try:
        return _run(copy.deepcopy(block), torch.zeros(1, *shape, dtype=like.dtype, device=like.device), where)
    except (RuntimeError, TypeError, IndexError, AssertionError) as error:
        raise ValueError(f"{where} fails on shape {(1, *shape)}: {error}") from error


def _run(block: nn.Module, image: Tensor, where: str) -> Rehearsal:
    block.eval()
    with torch.enable_grad():
        image.requires_grad_()
        x = image * 1  # the host's output: no leaf, and nothing needs it for a gradient
        version = x._version
        with FlopCounterMode(display=False) as counter:
            y = block(x)
        if not isinstance(y, Tensor) or y.shape != x.shape:
            got = tuple(y.shape) if isinstance(y, Tensor) else f"a {type(y).__name__}"
            raise ValueError(f"{where} maps {tuple(x.shape)} to {got}; it must keep the shape")
        if x._version != version:
            raise ValueError(f"{where} changes its input in place, which other modules may still need")
        return Rehearsal(counter.get_total_flops(), _forbids_in_place(y, image))


def _forbids_in_place(y: Tensor, image: Tensor) -> bool:
    if not y.requires_grad:
        return False
    try:
        torch.autograd.grad(y.add_(1).sum(), image, allow_unused=True)
    except RuntimeError as error:
        return "inplace" in str(error) or "in-place" in str(error)
    return False
