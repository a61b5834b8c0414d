"""Applies a block to the patches in a sequence of tokens, as to a feature map."""

import math

import torch
from torch import Tensor, nn

from cv_attention.backbones.attachment.replacement import run_block

torch.fx.wrap("run_block")  # here too, under the name that this file calls


class OnPatches(nn.Module):
    """Applies a block to the patches among tokens (B, N, C), and leaves the other tokens as they are.

    Args:
        block: A block of feature maps (B, C, h, w).
        first: Number of tokens before the patches, such as a class token and registers.
        last: Number of tokens behind them.
        grid: Rows and columns of patches in the forward that was traced; images of other sizes have the same aspect.
    """

    def __init__(self, block: nn.Module, first: int, last: int, grid: tuple[int, int]) -> None:
        super().__init__()
        self.patches = block
        self.first, self.last, self.grid = first, last, grid

    def forward(self, x: Tensor) -> Tensor:
        """Keeps the shape of `x` (B, N, C)."""
        end = x.shape[1] - self.last
        before, patches, behind = x[:, : self.first], x[:, self.first : end], x[:, end:]
        y = run_block(self.patches, patches.mT.unflatten(2, self.size_of(patches.shape[1])))
        return torch.cat([before, y.flatten(2).mT.to(x.dtype), behind], 1)

    def size_of(self, count: int) -> tuple[int, int]:
        """Returns rows and columns of so many patches.

        Raises:
            ValueError: if no grid of the same aspect has so many.
        """
        rows, columns = self.grid
        if count == rows * columns:
            return self.grid
        height = math.isqrt(max(count, 0) * rows // columns)
        if height < 1 or count % height or not self.has_aspect(height, count // height):
            raise ValueError(
                f"{self.first + count + self.last} tokens hold {count} patches, and a block inserted for images of "
                f"{rows}×{columns} patches takes images of this aspect; insert with the input_size= of these"
            )
        return height, count // height

    def has_aspect(self, height: int, width: int) -> bool:
        """Returns whether a grid has the aspect of the one that was traced."""
        return height * self.grid[1] == width * self.grid[0]

    def extra_repr(self) -> str:
        """Shows the grid in ``print(model)``."""
        return f"grid={self.grid}, first={self.first}, last={self.last}"


def block_of(module: nn.Module) -> nn.Module:
    """Returns the block (B, C, H, W) of an inserted module: itself, or what it applies to patches."""
    return module.patches if isinstance(module, OnPatches) else module
