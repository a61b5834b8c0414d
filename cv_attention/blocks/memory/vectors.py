"""Defines what a backbone leaves for a head to read: vectors, their grid, and which of them are padding."""

from typing import NamedTuple

import torch
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

    def repeated(self, times: int) -> "Memory":
        """Returns the memory with every sample `times` times in a row, (B * times, N, C)."""
        if times == 1:
            return self
        keep = None if self.keep is None else self.keep.repeat_interleave(times, 0)
        return Memory(self.values.repeat_interleave(times, 0), self.grid, keep)

    def check(self) -> None:
        """Raises ValueError where shapes do not fit together, or all vectors of a sample are padding."""
        values, keep = self.values, self.keep
        if values.ndim != 3:
            raise ValueError(f"the values of a memory must be (B, N, C), got shape {tuple(values.shape)}")
        if self.grid is not None and self.grid[0] * self.grid[1] != values.shape[1]:
            raise ValueError(f"a grid of {self.grid[0]} x {self.grid[1]} does not hold {values.shape[1]} vectors")
        if keep is None:
            return
        if keep.shape != values.shape[:2]:
            raise ValueError(f"keep must be (B, N) = {tuple(values.shape[:2])}, got shape {tuple(keep.shape)}")
        if torch.compiler.is_compiling():  # values are not known then
            return
        if len(empty := (~keep.any(1)).nonzero()):
            raise ValueError(f"all vectors of sample {int(empty[0])} are padding, so there is nothing to attend to")
