"""Computes means and maxima fast in forward and backward; the values are those of `mean` and `amax`.

Where a gradient must come back: that of `mean` is written out as large as the input, that of a sum is a view of the
small gradient; that of `amax` compares every element with the maximum, that of `max` by index writes one element.
Where none must: a processor reads a contiguous map channel by channel, far apart in memory, and is up to three times
faster when it reduces groups of channels first.
"""

from math import prod

import torch
from torch import Tensor

_STEP = 8  # groups of channels; 4 and 16 are slower at 56 x 56


def needs_gradient(x: Tensor) -> bool:
    """Returns whether a gradient must come back to `x`; a graph that `torch.jit.trace` draws serves both cases."""
    return x.requires_grad or torch.jit.is_tracing()


def average(x: Tensor, dim: int | tuple[int, ...], *, keepdim: bool = False) -> Tensor:
    """Computes ``x.mean(dim, keepdim)`` with a gradient that is a view.

    Args:
        x: Any shape.
        dim: Axes of the mean.
        keepdim: Whether they stay, of size 1.

    Returns:
        The shape of ``x.mean(dim, keepdim)``, in the type of `x`.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import functional
        >>> functional.average(torch.ones(2, 8, 7, 7), (2, 3)).shape
        torch.Size([2, 8])
    """
    if not x.requires_grad or x.dtype == torch.float16 or torch.jit.is_tracing():  # a sum may leave float16's range
        return x.mean(dim, keepdim)
    count = prod([x.shape[axis] for axis in ((dim,) if isinstance(dim, int) else dim)])
    return (x.sum(dim, keepdim) / count).to(x.dtype)  # autocast gives some sums in float32


def channel_mean(x: Tensor) -> Tensor:
    """Computes the mean over the channels at each position.

    Args:
        x: (B, C, H, W).

    Returns:
        (B, 1, H, W).

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import functional
        >>> functional.channel_mean(torch.tensor([1.0, 3.0]).view(1, 2, 1, 1))
        tensor([[[[2.]]]])
    """
    return x.unflatten(1, (_STEP, -1)).mean(1).mean(1, keepdim=True) if _far_apart(x) else average(x, 1, keepdim=True)


def channel_max(x: Tensor) -> Tensor:
    """Computes the maximum over the channels at each position.

    Args:
        x: (B, C, H, W).

    Returns:
        (B, 1, H, W).

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import functional
        >>> functional.channel_max(torch.tensor([1.0, 3.0]).view(1, 2, 1, 1))
        tensor([[[[3.]]]])
    """
    if _far_apart(x):
        return x.unflatten(1, (_STEP, -1)).amax(1).amax(1, keepdim=True)
    return x.max(1, keepdim=True).values if needs_gradient(x) else x.amax(1, keepdim=True)


def spatial_max(x: Tensor) -> Tensor:
    """Computes the maximum over the positions of each channel.

    Args:
        x: (B, C, H, W).

    Returns:
        (B, C).

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import functional
        >>> functional.spatial_max(torch.arange(8.0).view(1, 2, 2, 2))
        tensor([[3., 7.]])
    """
    return x.flatten(2).max(2).values if needs_gradient(x) else x.amax((2, 3))


def _far_apart(x: Tensor) -> bool:
    """Whether two steps are faster: eagerly, without a gradient, on a processor, for channels far apart in memory."""
    eager = not (needs_gradient(x) or torch.compiler.is_compiling())
    return eager and x.device.type == "cpu" and x.is_contiguous() and x.shape[1] % _STEP == 0
