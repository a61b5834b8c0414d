"""Neighbourhood attention (Hassani et al., CVPR 2023), https://arxiv.org/abs/2204.07143."""

from torch import Tensor, nn

from cv_attention.blocks.base import AttentionMap, Block, Device, Dtype, Factory, check_divisible, check_odd, zero
from cv_attention.blocks.functional.local import along, attend_in_tiles, cut, hide, join, over_both
from cv_attention.blocks.tokens.relative import RelativeBias


class NeighbourhoodAttention(Block):
    """Every position attends to its K x K nearest: ``softmax(q_i · k_j / sqrt(d) + b_(i-j)) v_j``, then W_o.

    Paper: Neighbourhood attention (Hassani et al., CVPR 2023), https://arxiv.org/abs/2204.07143.

    At the map's border the neighbourhood does not shrink: it is moved inwards, so that it always has K x K positions
    (all rows, or columns, of a map that has fewer than K).

    Keys are gathered once per tile of about K x K queries, with a margin of K // 2, rather than once per query.

    Map: `pairwise`, (B, heads, H*W, H, W), zeros outside the neighbourhood; the last two axes sum to 1.

    Args:
        channels: Channels C of the input.
        heads: Number of heads; d = C / heads.
        kernel_size: Side K of the neighbourhood, odd.
        qkv_bias: Whether the query, key and value projections have biases.
        relative_bias: Whether there is b, a learned number per head and relative position.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if `channels` is not divisible by `heads`, or `kernel_size` is even.

    Examples:
        >>> import torch
        >>> from cv_attention import blocks, record
        >>> block = blocks.NeighbourhoodAttention(64, heads=4, kernel_size=3)
        >>> with record(block) as maps:
        ...     print(block(torch.randn(2, 64, 5, 5)).shape)
        torch.Size([2, 64, 5, 5])
        >>> (maps["map"].values[0, 0, 0] > 0).int()  # at the corner, too, 3 x 3 positions
        tensor([[1, 1, 1, 0, 0],
                [1, 1, 1, 0, 0],
                [1, 1, 1, 0, 0],
                [0, 0, 0, 0, 0],
                [0, 0, 0, 0, 0]], dtype=torch.int32)
    """

    def __init__(
        self,
        channels: int,
        *,
        heads: int = 4,
        kernel_size: int = 7,
        qkv_bias: bool = True,
        relative_bias: bool = True,
        device: Device = None,
        dtype: Dtype = None,
    ) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        check_divisible(channels=channels, heads=heads)
        check_odd(kernel_size=kernel_size)
        self.heads = heads
        self.kernel_size = kernel_size
        self.qkv = nn.Linear(channels, 3 * channels, bias=qkv_bias, **factory)
        self.position = RelativeBias((kernel_size, kernel_size), heads, **factory) if relative_bias else None
        self.project = nn.Linear(channels, channels, **factory)
        self.map = AttentionMap("pairwise")

    def start_as_identity(self) -> None:
        """Zeroes the last layer: the block returns zeros, to be added to its input."""
        zero(self.project)

    def forward(self, x: Tensor) -> Tensor:
        """Mixes the positions of `x` (B, C, H, W); the result is laid out channels_last."""
        size = (x.shape[2], x.shape[3])
        tile, halo = zip(*(self._tile(length) for length in size), strict=True)
        qkv = self.qkv(x.permute(0, 2, 3, 1).contiguous())
        channels = x.shape[1]
        query = cut(qkv[..., :channels], self.heads, tile)
        key, value = cut(qkv[..., channels:], 2 * self.heads, tile, halo).chunk(2, 1)

        axes = [along(*axis, device=x.device) for axis in zip(size, tile, halo, strict=True)]
        queries, keys = zip(*axes, strict=True)
        rows, columns = (self._visible(*axis, length) for axis, length in zip(axes, size, strict=True))
        bias = hide(over_both(rows, columns), query.dtype)[None]
        if self.position is not None:
            bias = bias + self.position(*(of[:, :, None] - to[:, None, :] for of, to in axes))
        mixed = attend_in_tiles(
            query, key, value, size=size, queries=queries, keys=keys, bias=bias[None], observe=self.map.over(size)
        )
        return self.project(join(mixed, tile, size).contiguous()).permute(0, 3, 1, 2)

    def _tile(self, size: int) -> tuple[int, int]:
        """Chooses along one axis the tiles' size and their margin, so that it holds every neighbourhood."""
        radius = self.kernel_size // 2
        for tile in range(self.kernel_size, min(4 * self.kernel_size, size)):
            # The last tile needs more rows than its margin, as its neighbourhoods are moved inwards.
            if size % tile == 0 or size % tile > radius:
                return tile, radius
        return size, 0

    def _visible(self, queries: Tensor, keys: Tensor, size: int) -> Tensor:
        """Tells along one axis which keys are in a query's neighbourhood, (tiles, Q, K)."""
        # A query off the map, which is cut off later, does as the last one on it; it must see something.
        start = (queries.clamp(max=size - 1) - self.kernel_size // 2).clamp(max=size - self.kernel_size).clamp(min=0)
        after = keys[:, None, :] - start[:, :, None]
        return (after >= 0) & (after < min(self.kernel_size, size))
