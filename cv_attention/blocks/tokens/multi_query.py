"""Multi-query attention (Shazeer, 2019), https://arxiv.org/abs/1911.02150.

In a CNN: MobileNetV4 (Qin et al., ECCV 2024), https://arxiv.org/abs/2404.10518.
"""

from torch import Tensor, nn

from cv_attention.blocks.base import AttentionMap, Block, Device, Dtype, Factory, check_divisible, zero
from cv_attention.blocks.functional.attention import attend
from cv_attention.blocks.functional.layout import project, to_map, to_tokens


class MultiQueryAttention(Block):
    """Self-attention whose heads share one key and one value: ``concat_h(softmax(Q_h Kᵀ / sqrt(d)) V) W_o``.

    Paper: Multi-query attention (Shazeer, 2019), https://arxiv.org/abs/1911.02150.

    MobileNetV4's without its optional downsampling of the keys.

    Map: `pairwise`, (B, heads, H*W, H, W); the last two axes sum to 1.

    Args:
        channels: Channels C of the input.
        heads: Number of heads h; d = C / heads.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if `channels` is not divisible by `heads`.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import MultiQueryAttention
        >>> block = MultiQueryAttention(64, heads=4)
        >>> block(torch.randn(2, 64, 7, 7)).shape
        torch.Size([2, 64, 7, 7])
        >>> block.query.out_features, block.key.out_features  # one key for all heads
        (64, 16)
    """

    def __init__(self, channels: int, *, heads: int = 4, device: Device = None, dtype: Dtype = None) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        check_divisible(channels=channels, heads=heads)
        self.heads = heads
        depth = channels // heads
        self.query = nn.Linear(channels, channels, bias=False, **factory)
        self.key = nn.Linear(channels, depth, bias=False, **factory)
        self.value = nn.Linear(channels, depth, bias=False, **factory)
        self.project = nn.Linear(channels, channels, bias=False, **factory)
        for layer in (self.query, self.key, self.value, self.project):
            nn.init.xavier_uniform_(layer.weight)
        self.map = AttentionMap("pairwise")

    def start_as_identity(self) -> None:
        """Zeroes the last layer: the block returns zeros, to be added to its input."""
        zero(self.project)

    def forward(self, x: Tensor) -> Tensor:
        """Mixes the positions of `x` (B, C, H, W); keeps shape and memory format."""
        size = (x.shape[2], x.shape[3])
        query, key, value = (to_tokens(project(x, layer)) for layer in (self.query, self.key, self.value))
        query = query.unflatten(2, (self.heads, -1)).transpose(1, 2)
        # Views: the one key and value are not copied for every head.
        key, value = (each[:, None].expand(-1, self.heads, -1, -1) for each in (key, value))
        mixed = attend(query, key, value, observe=self.map.over(size))
        return project(to_map(mixed.transpose(1, 2).flatten(2), x), self.project)
