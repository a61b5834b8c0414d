"""Starts any block as the identity, so that pretrained weights around it are not hurt."""

import torch
from torch import Tensor, nn


class IdentityInit(nn.Module):
    """Fades a block in: ``x + alpha * (block(x) - x)`` with a learnable alpha that starts at 0.

    Args:
        block: The block; its output must be finite, and it must not change its input in place.
    """

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block
        self.alpha = nn.Parameter(torch.zeros(1))  # one axis: FSDP shards no scalars

    def forward(self, x: Tensor) -> Tensor:
        """Keeps shape and type of `x` (B, C, H, W), under autocast too."""
        return x + self.alpha.to(x.dtype) * (self.block(x).to(x.dtype) - x)
