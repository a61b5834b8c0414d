"""Position attention of DANet (Fu et al., CVPR 2019), https://arxiv.org/abs/1809.02983."""

import torch
from torch import Tensor, nn

from cv_attention.blocks.base import AttentionMap, Block, Device, Dtype, Factory, bottleneck, zero
from cv_attention.blocks.functional.attention import attend
from cv_attention.blocks.functional.layout import to_map, to_tokens


class DANetPosition(Block):
    """Adds similar positions' features: ``x_i + alpha sum_j softmax_j(B x_i . C x_j) D x_j`` (equations 1, 2).

    Paper: Position attention of DANet (Fu et al., CVPR 2019), https://arxiv.org/abs/1809.02983.

    The logits are not scaled. A fresh block is an identity: alpha starts at zero.

    Map: `pairwise`, (B, 1, H*W, H, W), the last two axes sum to 1; written when observed only.

    Args:
        channels: Channels C of the input.
        reduction: B and C have max(channels // reduction, 1) channels; 8 in the official code, where the
            paper's text has 1.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if an argument is not a positive integer.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import DANetPosition
        >>> block = DANetPosition(64, reduction=8)
        >>> x = torch.randn(2, 64, 7, 7)
        >>> torch.equal(block(x), x)  # alpha starts at zero
        True
        >>> block.query  # to 64 // 8 channels
        Linear(in_features=64, out_features=8, bias=True)
    """

    def __init__(self, channels: int, *, reduction: int = 8, device: Device = None, dtype: Dtype = None) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        inner = bottleneck(channels, reduction)
        self.query = nn.Linear(channels, inner, **factory)
        self.key = nn.Linear(channels, inner, **factory)
        self.value = nn.Linear(channels, channels, **factory)
        self.alpha = nn.Parameter(torch.zeros((), **factory))
        self.map = AttentionMap("pairwise")

    def start_as_identity(self) -> None:
        """Zeroes the values instead of alpha, which becomes 1: they learn faster than one factor."""
        zero(self.value)
        nn.init.ones_(self.alpha)

    def forward(self, x: Tensor) -> Tensor:
        """Mixes the positions of `x` (B, C, H, W); keeps shape and memory format."""
        size = (x.shape[2], x.shape[3])
        tokens = to_tokens(x)
        query, key, value = (layer(tokens)[:, None] for layer in (self.query, self.key, self.value))
        mixed = attend(query, key, value, scale=1.0, observe=self.map.over(size))[:, 0]
        return x + self.alpha * to_map(mixed, x)
