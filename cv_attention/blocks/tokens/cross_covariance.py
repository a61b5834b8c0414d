"""Cross-covariance attention (XCiT: El-Nouby et al., NeurIPS 2021), https://arxiv.org/abs/2106.09681."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cv_attention.blocks.base import AttentionMap, check_divisible


class CrossCovarianceAttention(nn.Module):
    """Mixes channels by how alike they are over all positions: ``softmax(Q̂ K̂ᵀ τ_h) V``, then W_o.

    Q̂ and K̂ are (d, N), each row of length 1; τ_h is a learned temperature per head (the paper divides by it, the
    official code multiplies). The cost is linear in the number of positions.

    Map: `alignment`, (B, heads, d, d), channels by channels; the last axis sums to 1.

    Args:
        channels: Channels C of the input.
        heads: Number of heads; d = C / heads.
        qkv_bias: Whether the query, key and value projections have biases; off, as in the official class.

    Raises:
        ValueError: if `channels` is not divisible by `heads`.
    """

    def __init__(self, channels: int, *, heads: int = 4, qkv_bias: bool = False) -> None:
        super().__init__()
        check_divisible(channels=channels, heads=heads)
        self.heads = heads
        self.qkv = nn.Linear(channels, 3 * channels, bias=qkv_bias)
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.project = nn.Linear(channels, channels)
        self.map = AttentionMap("alignment")

    def forward(self, x: Tensor) -> Tensor:
        """Mixes the channels of `x` (B, C, H, W); the result is laid out channels_last."""
        tokens = x.flatten(2).transpose(1, 2)
        # (B, N, 3C) -> three of (B, heads, d, N)
        query, key, value = self.qkv(tokens).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 4, 1).unbind(0)
        # Rows of length 1 before the product: the sum over positions would overflow in half precision.
        logits = F.normalize(query, dim=-1) @ F.normalize(key, dim=-1).transpose(-2, -1)
        attention = self.map((logits * self.temperature).softmax(-1))
        mixed = (attention.to(value.dtype) @ value).flatten(1, 2).transpose(1, 2)
        return self.project(mixed).transpose(1, 2).unflatten(2, (x.shape[2], x.shape[3]))
