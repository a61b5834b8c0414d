"""Marks where attention to a window around each position passes: a map without the square of the positions."""

from abc import abstractmethod

import torch
from torch import Tensor

from cv_attention.blocks.base import AttentionMap


class WindowMap(AttentionMap):
    """Marks the place where attention of each position to a window of keys passes: (B, heads, H, W, h, w).

    `cv_attention.record` gives it as a map of kind ``pairwise`` (B, heads, H*W, h, w) with `cv_attention.maps.Windows`;
    its `dense` puts the windows onto the grid. So the memory does not grow with the square of the positions.
    """

    def __init__(self) -> None:
        super().__init__("pairwise")

    @abstractmethod
    def keys(self, height: int, width: int, device: torch.device | None = None) -> Tensor:
        """Returns the number of each key on the grid, (H*W, h*w); -1 where it is off the grid."""


class Surroundings(WindowMap):
    """The map of attention to a square of `size` x `size` positions, odd, with the query in its middle."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def keys(self, height: int, width: int, device: torch.device | None = None) -> Tensor:
        """Returns the number of each key on the grid, (H*W, size*size); -1 where it is off the grid."""
        inside = torch.arange(self.size, device=device) - self.size // 2
        rows, columns = (torch.arange(length, device=device)[:, None] + inside for length in (height, width))
        there = ((rows >= 0) & (rows < height))[:, None, :, None] & ((columns >= 0) & (columns < width))[:, None]
        keys = (rows * width)[:, None, :, None] + columns[:, None]
        return keys.where(there, -1).flatten(2).flatten(0, 1)
