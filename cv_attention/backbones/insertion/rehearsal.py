"""Runs a block alone on its site's shape, to check the output shape and to count FLOPs."""

import copy
import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from cv_attention.backbones.tracing.flops import CountFlops


@dataclass(frozen=True)
class Rehearsal:
    """The result of a rehearsal.

    Attributes:
        flops: Floating-point operations for one image.
        fresh: Whether its gradient needs the block's output unchanged, so that ``y += z`` breaks it.
        returns: Whether it returns its ``input``, ``zeros``, or something ``else``; on meta always ``else``.
    """

    flops: int
    fresh: bool
    returns: Literal["input", "zeros", "else"]


def rehearse(block: nn.Module, shape: tuple[int, int, int], site: str, label: str) -> Rehearsal:
    """Tries a copy of `block`, in eval mode, on noise (1, *shape).

    Raises:
        ValueError: if the block fails, changes its input in place, or returns another shape.
    """
    where = f"block {label} at site {site!r}"
    block = copy.deepcopy(block).eval()
    like = next((p for p in block.parameters() if p.is_floating_point()), torch.empty(0, device="cpu"))
    noise = torch.randn(1, *shape, generator=torch.Generator().manual_seed(0), device="cpu")
    x = noise.to(like.device, like.dtype)
    with like.device, torch.no_grad(), CountFlops() as counter:
        version = x._version
        try:
            y = block(x)
        except Exception as error:  # a user's block may fail in any way
            raise ValueError(f"{where} fails on shape {tuple(x.shape)}: {error}") from error
    if not isinstance(y, Tensor) or y.shape != x.shape:
        got = tuple(y.shape) if isinstance(y, Tensor) else f"a {type(y).__name__}"
        raise ValueError(f"{where} maps {tuple(x.shape)} to {got}; it must keep the shape")
    if x._version != version:
        raise ValueError(f"{where} changes its input in place, which other modules may still need")
    with like.device:
        fresh = _forbids_in_place(block, x[:, :, :4, :4])
    same = "else" if x.is_meta else "input" if torch.equal(y, x) else "else" if y.any() else "zeros"
    return Rehearsal(counter.flops, fresh, same)


def _forbids_in_place(block: nn.Module, corner: Tensor) -> bool:
    """Returns whether an addition in place to the block's output breaks its gradient, tried on an image's corner."""
    with torch.enable_grad():
        x = corner.clone().requires_grad_()
        try:
            y = block(x * 1)
            if y.requires_grad:
                torch.autograd.grad(y.add_(1).sum(), x, allow_unused=True)
        except Exception:  # also where a block takes one size alone: a copy is always right
            return True
    return False


def conv_flops(conv: nn.Conv2d, shape: tuple[int, int, int]) -> int:
    """Operations of a convolution on one image of `shape` (C, H, W) that it keeps up to its stride."""
    positions = math.prod(-(-side // stride) for side, stride in zip(shape[1:], conv.stride, strict=True))
    return 2 * positions * conv.weight.numel()
