"""Starts any block as the identity, so that pretrained weights around it are not hurt."""

import torch
from torch import Tensor, nn


class IdentityInit(nn.Module):
    """Fades a block in: ``x + alpha * (block(x) - x)`` with a learnable alpha that starts at 0.

    A block that starts as the identity by itself, such as a non-local block with its last weights at 0, gets an alpha
    of 1: at 0, neither alpha nor the block would ever receive a gradient.

    Args:
        block: The block; its output must be finite, and it must not change its input in place.
        alpha: Where alpha starts.
    """

    def __init__(self, block: nn.Module, alpha: float = 0.0) -> None:
        super().__init__()
        self.block = block
        self.alpha = nn.Parameter(torch.full((1,), alpha, device="cpu"))  # one axis: FSDP shards no scalars

    def forward(self, x: Tensor) -> Tensor:
        """Keeps shape and type of `x` (B, C, H, W), under autocast too."""
        return x + self.alpha.to(x.dtype) * (self.block(x).to(x.dtype) - x)
