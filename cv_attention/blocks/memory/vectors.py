"""Defines what a backbone leaves for a head to read: vectors, their grid, and which of them are padding."""

from typing import NamedTuple

from torch import Tensor


class Memory(NamedTuple):
    """Holds the vectors that a head reads from.

    Attributes:
        values: The vectors, (B, N, C).
        grid: Rows and columns of the feature map that the vectors are the positions of, row by row; None without one.
        keep: Which vectors are real, bool (B, N); the others are padding and never receive weight. None keeps all.

    Examples:
        >>> import torch
        >>> from cv_attention.heads import Memory
        >>> Memory(torch.zeros(2, 12, 64), grid=(3, 4)).keep is None
        True
    """

    values: Tensor
    grid: tuple[int, int] | None = None
    keep: Tensor | None = None
