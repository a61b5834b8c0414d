"""Means and maxima that are fast both ways; their values are those of `mean` and `amax`.

Where a gradient must come back: that of `mean` is written out as large as the input, that of a sum is a view of the
small gradient; that of `amax` compares every element with the maximum, that of `max` by index writes one element.
Where none must: a processor reads a contiguous map channel by channel, far apart in memory, and is up to three times
faster when it reduces groups of channels first.
"""

from math import prod

import torch
from torch import Tensor

_STEP = 8  # groups of channels; 4 and 16 are slower at 56 x 56


def average(x: Tensor, dim: int | tuple[int, ...], *, keepdim: bool = False) -> Tensor:
    """Returns ``x.mean(dim, keepdim)``."""
    if not learns(x) or x.dtype == torch.float16:  # whose range a sum may leave
        return x.mean(dim, keepdim)
    count = prod([x.shape[axis] for axis in ((dim,) if isinstance(dim, int) else dim)])
    return (x.sum(dim, keepdim) / count).to(x.dtype)  # autocast gives some sums in float32


def channel_mean(x: Tensor) -> Tensor:
    """Returns the mean over the channels of `x` (B, C, H, W): (B, 1, H, W)."""
    return x.unflatten(1, (_STEP, -1)).mean(1).mean(1, keepdim=True) if _far_apart(x) else average(x, 1, keepdim=True)


def channel_max(x: Tensor) -> Tensor:
    """Returns the maximum over the channels of `x` (B, C, H, W): (B, 1, H, W)."""
    if _far_apart(x):
        return x.unflatten(1, (_STEP, -1)).amax(1).amax(1, keepdim=True)
    return x.max(1, keepdim=True).values if learns(x) else x.amax(1, keepdim=True)


def spatial_max(x: Tensor) -> Tensor:
    """Returns the maximum over the positions of `x` (B, C, H, W): (B, C)."""
    return x.flatten(2).max(2).values if learns(x) else x.amax((2, 3))


def learns(x: Tensor) -> bool:
    """Whether a gradient must come back; not while `torch.jit.trace` looks, which runs both ways and compares them."""
    return x.requires_grad and not torch.jit.is_tracing()


def _far_apart(x: Tensor) -> bool:
    """Whether two steps are faster: eagerly, without a gradient, on a processor, for channels far apart in memory."""
    eager = not (x.requires_grad or torch.compiler.is_compiling() or torch.jit.is_tracing())
    return eager and x.device.type == "cpu" and x.is_contiguous() and x.shape[1] % _STEP == 0
