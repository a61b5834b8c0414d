"""Adds position encodings to a memory: without them, a head does not know where a vector lies."""

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cv_attention.blocks.base import check_choice
from cv_attention.blocks.functional.sincos import sincos_2d
from cv_attention.blocks.memory import Memory

Position = Literal["sine", "learned", "none"]


class Positions(nn.Module):
    """Adds an encoding of row and column to every vector of a memory that has a grid.

    Args:
        channels: Channels C of the memory.
        position: ``sine`` (fixed sines and cosines of row and column), ``learned`` (a table of `grid`, resampled for
            maps of other sizes) or ``none``.
        grid: (H, W) of the learned table.

    Raises:
        ValueError: if `position` is unknown.
    """

    def __init__(self, channels: int, position: Position, grid: tuple[int, int]) -> None:
        super().__init__()
        check_choice("position", position, get_args(Position))
        self.position = position
        self.table = nn.Parameter(torch.randn(1, channels, *grid) * 0.02) if position == "learned" else None

    def forward(self, memory: Memory) -> Memory:
        """Returns the memory with its encoding added."""
        if self.position == "none" or memory.grid is None:
            return memory
        return memory._replace(values=memory.values + self._encoding(memory.values, memory.grid))

    def _encoding(self, values: Tensor, grid: tuple[int, int]) -> Tensor:
        if self.table is None:
            return sincos_2d(values.shape[2], *grid, device=values.device).flatten(0, 1).to(values.dtype)
        table = self.table
        if tuple(table.shape[2:]) != grid:
            table = F.interpolate(table, size=grid, mode="bicubic", align_corners=False)
        return table.flatten(2).transpose(1, 2).to(values.dtype)

    def extra_repr(self) -> str:
        """Shows the kind in ``print(model)``."""
        return f"position={self.position!r}"
