"""Multi-head self-attention over positions (Vaswani et al., 2017, https://arxiv.org/abs/1706.03762).

Over the positions of a CNN's feature map: Cordonnier et al., ICLR 2020, https://arxiv.org/abs/1911.03584.
"""

from torch import Tensor, nn

from cv_attention.blocks.base import AttentionMap, check_divisible
from cv_attention.blocks.tokens.attend import attend


class MultiHeadSelfAttention(nn.Module):
    """Mixes positions by their content: ``concat_h(softmax(Q_h K_hᵀ / sqrt(d)) V_h) W_o``, d = C / heads.

    It knows no positions (`ViTBlock` adds them) and has no residual around it. Memory grows with (H*W)² only
    while the map is observed.

    Map: `pairwise`, (B, heads, H*W, H, W); the last two axes sum to 1.

    Args:
        channels: Channels C of the input.
        heads: Number of heads h.
        qkv_bias: Whether the query, key and value projections have biases.

    Raises:
        ValueError: if `channels` is not divisible by `heads`, or one is no positive whole number.
    """

    def __init__(self, channels: int, *, heads: int = 4, qkv_bias: bool = True) -> None:
        super().__init__()
        check_divisible(channels=channels, heads=heads)
        self.heads = heads
        self.qkv = nn.Linear(channels, 3 * channels, bias=qkv_bias)
        self.project = nn.Linear(channels, channels)
        self.map = AttentionMap("pairwise")

    def forward(self, x: Tensor) -> Tensor:
        """Mixes the positions of `x` (B, C, H, W); the result is laid out channels_last."""
        tokens = x.flatten(2).transpose(1, 2)
        # (B, N, 3C) -> three of (B, heads, N, d)
        query, key, value = self.qkv(tokens).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        mixed = attend(query, key, value, self.map, (x.shape[2], x.shape[3]))
        mixed = self.project(mixed.transpose(1, 2).flatten(2))
        return mixed.transpose(1, 2).unflatten(2, (x.shape[2], x.shape[3]))
