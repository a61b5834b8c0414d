"""CLIP's attention pooling of ResNets (Radford et al., ICML 2021), https://arxiv.org/abs/2103.00020."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cv_attention.blocks.base import AttentionMap, Block, Device, Dtype, Factory, check_divisible, check_whole
from cv_attention.blocks.functional.attention import attend
from cv_attention.blocks.functional.half_precision import widened
from cv_attention.blocks.functional.layout import expanded_like, to_tokens


class QueryPool2d(Block):
    """Returns at every position what the mean reads from all of them: ``W_o MHA(m + P_0, [m + P_0, x_i + P_i])``.

    Paper: CLIP's attention pooling of ResNets (Radford et al., ICML 2021), https://arxiv.org/abs/2103.00020.

    m is the mean of x over all positions, the query and a key at once; P are learned position embeddings for a grid of
    `size` x `size`, which is resampled to the map's. At the position `pool`, the network's mean gives the vector back.

    Map: `pairwise`, (B, heads, 1, H, W): the weights of the positions, which with that of the mean sum to 1.

    Args:
        channels: Channels C of the input.
        heads: Number of heads.
        size: Side of the grid of position embeddings.
        qkv_bias: Whether the query, key and value projections have biases.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if `channels` is not divisible by `heads`, or a number is not a positive integer.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import QueryPool2d
        >>> block = QueryPool2d(64, heads=8)
        >>> pooled = block(torch.randn(2, 64, 7, 7))
        >>> pooled.shape, torch.equal(pooled[..., 0, 0], pooled[..., 3, 5])  # one vector, at every position
        (torch.Size([2, 64, 7, 7]), True)
    """

    def __init__(
        self,
        channels: int,
        *,
        heads: int = 4,
        size: int = 7,
        qkv_bias: bool = True,
        device: Device = None,
        dtype: Dtype = None,
    ) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        check_divisible(channels=channels, heads=heads)
        check_whole(size=size)
        self.heads = heads
        self.size = size
        self.position = nn.Parameter(torch.empty(size * size + 1, channels, **factory))
        self.query = nn.Linear(channels, channels, bias=qkv_bias, **factory)
        self.key_value = nn.Linear(channels, 2 * channels, bias=qkv_bias, **factory)
        self.project = nn.Linear(channels, channels, **factory)
        for weight in (self.position, self.query.weight, self.key_value.weight):
            nn.init.trunc_normal_(weight, std=channels**-0.5)
        self.map = AttentionMap("pairwise")

    def forward(self, x: Tensor) -> Tensor:
        """Reads from the positions of `x` (B, C, H, W); keeps shape and memory format."""
        size = (x.shape[2], x.shape[3])
        tokens = to_tokens(x)
        tokens = torch.cat([tokens.mean(1, keepdim=True), tokens], 1) + self._positions(size).to(x.dtype)
        query, (key, value) = self.query(tokens[:, :1]), self.key_value(tokens).chunk(2, 2)
        parts = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in (query, key, value))
        mixed = attend(*parts, observe=self.map.over(size, ahead=1))
        return expanded_like(self.project(mixed.transpose(1, 2).flatten(2))[:, 0], x)

    def _positions(self, size: tuple[int, int]) -> Tensor:
        """Returns the position embeddings (1 + H*W, C) of the mean and of a grid of another size."""
        if size == (self.size, self.size):
            return self.position
        first, grid = widened(self.position).split([1, self.size**2])
        grid = grid.t().unflatten(1, (self.size, self.size))[None]
        grid = F.interpolate(grid, size=size, mode="bicubic", antialias=True)
        return torch.cat([first, grid[0].flatten(1).t()])
