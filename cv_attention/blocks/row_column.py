"""Multiplies a gate over rows by a gate over columns."""

from torch import Tensor

from cv_attention.blocks.base import AttentionMap, over_start
from cv_attention.blocks.pooling import needs_gradient


def gate_by_row_and_column(
    x: Tensor, rows: Tensor, columns: Tensor, observer: AttentionMap, *, start: float = 1.0
) -> Tensor:
    """Returns ``x * rows * columns / start^2``; the product of the gates, as large as `x`, is written only if observed.

    Args:
        x: (B, C, H, W).
        rows: (B, C, H, 1).
        columns: (B, C, 1, W).
        observer: `joint` map, which sees ``rows * columns``, (B, C, H, W).
        start: What both gates are divided by.
    """
    if observer.observed:
        return x * over_start(observer(rows * columns), start * start)
    y = x * over_start(rows, start)
    columns = over_start(columns, start)
    # Nobody else holds y: without gradients it becomes the result.
    return y * columns if needs_gradient(y) else y.mul_(columns)
