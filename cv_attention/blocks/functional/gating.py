"""Multiplies feature maps by gates: over a start, by rows and columns, from a coarser grid, by shares of a mean."""

from collections.abc import Callable, Sequence

from torch import Tensor
from torch.nn import functional as F

from cv_attention.blocks.functional.half_precision import widened, without_autocast
from cv_attention.blocks.functional.pooling import needs_gradient


def over_start(gate: Tensor, start: float) -> Tensor:
    """Returns ``gate / start``; 1 to the bit where the gate has the value `start`.

    The gate is divided, not the product with the input: that could round where a number is close to zero.

    Args:
        gate: Any shape.
        start: The value at which the gate starts; 1 returns the gate itself.

    Returns:
        The shape of `gate`.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import functional
        >>> functional.over_start(torch.tensor([0.5, 0.25, 1.0]), 0.5)  # a gate that starts at 0.5
        tensor([1.0000, 0.5000, 2.0000])
    """
    return gate if start == 1 else gate / start


def times(x: Tensor, gain: float) -> Tensor:
    """Returns ``gain * x``; `x` itself where `gain` is 1.

    Args:
        x: Any shape.
        gain: The factor.

    Returns:
        The shape of `x`.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import functional
        >>> x = torch.ones(2)
        >>> functional.times(x, 10.0), functional.times(x, 1.0) is x
        (tensor([10., 10.]), True)
    """
    return x if gain == 1 else gain * x


def spread(gate: Tensor, size: Sequence[int]) -> Tensor:
    """Repeats a gate of a coarser grid to the nearest positions of a feature map.

    Args:
        gate: (B, C, h, w).
        size: (H, W) of the feature map.

    Returns:
        (B, C, H, W); a view where h and w are 1.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import functional
        >>> functional.spread(torch.tensor([[0.0, 1.0]])[None, None], (2, 4))
        tensor([[[[0., 0., 1., 1.],
                  [0., 0., 1., 1.]]]])
    """
    if gate.shape[2:].numel() == 1:
        return gate.expand(*gate.shape[:2], *size)
    return F.interpolate(gate, size=list(size))


def softmax_gate(scores: Tensor) -> Tensor:
    """Computes ``N softmax(e)`` over the last axis: a gate of mean 1 that makes a mean over N positions a weighted one.

    Where all scores are equal, the gate is 1 to the bit, whatever N is; N times a softmax would round.

    Args:
        scores: (..., N); at least one finite, -inf gives 0.

    Returns:
        (..., N), in float32, or float64 where the scores are; values in [0, N].

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import functional
        >>> functional.softmax_gate(torch.tensor([0.0, 0.0, 0.0, -torch.inf]))
        tensor([1.3333, 1.3333, 1.3333, 0.0000])
    """
    with without_autocast(scores):
        scores = widened(scores)
        weights = (scores - scores.amax(-1, keepdim=True).detach()).exp()
        return weights * weights.shape[-1] / weights.sum(-1, keepdim=True)  # N / sum would be N times a reciprocal


def gate_by_row_and_column(
    x: Tensor,
    rows: Tensor,
    columns: Tensor,
    *,
    start: float = 1.0,
    observe: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Computes ``x * rows * columns / start^2`` (Hou et al., CVPR 2021, https://arxiv.org/abs/2103.02907).

    Args:
        x: (B, C, H, W).
        rows: (B, C, H, 1).
        columns: (B, C, 1, W).
        start: The value at which both gates start.
        observe: Is given ``rows * columns``, (B, C, H, W), and returns the gate to use; None does not write this
            product, which is as large as `x`.

    Returns:
        (B, C, H, W).

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import functional
        >>> rows = torch.tensor([1.0, 0.5]).view(1, 1, 2, 1)
        >>> columns = torch.tensor([1.0, 0.0, 1.0]).view(1, 1, 1, 3)
        >>> functional.gate_by_row_and_column(torch.ones(1, 1, 2, 3), rows, columns)
        tensor([[[[1.0000, 0.0000, 1.0000],
                  [0.5000, 0.0000, 0.5000]]]])
    """
    if observe is not None:
        return x * over_start(observe(rows * columns), start * start)
    y = x * over_start(rows, start)
    columns = over_start(columns, start)
    # Nobody else holds y: without gradients it becomes the result.
    return y * columns if needs_gradient(y) else y.mul_(columns)
