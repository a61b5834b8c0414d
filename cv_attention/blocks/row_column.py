"""Gates that are the product of one over rows and one over columns."""

from torch import Tensor

from cv_attention.blocks.base import AttentionMap
from cv_attention.blocks.pooling import needs_gradient


def gate_by_row_and_column(x: Tensor, rows: Tensor, columns: Tensor, observer: AttentionMap) -> Tensor:
    """Returns ``x * rows * columns``; the product of the gates, as large as `x`, is written only if observed.

    Args:
        x: (B, C, H, W).
        rows: (B, C, H, 1).
        columns: (B, C, 1, W).
        observer: `joint` map, which sees ``rows * columns``, (B, C, H, W).
    """
    if observer.observed:
        return x * observer(rows * columns)
    y = x * rows
    # Nobody else holds y: without gradients it becomes the result.
    return y * columns if needs_gradient(y) else y.mul_(columns)
