"""Halo attention (HaloNet: Vaswani et al., CVPR 2021), https://arxiv.org/abs/2103.12731."""

import torch
from torch import Tensor, nn

from cv_attention.blocks.base import AttentionMap, Block, Device, Dtype, Factory, check_divisible, check_whole
from cv_attention.blocks.functional.layout import project
from cv_attention.blocks.functional.local import along, attend_in_tiles, cut, hide, join, over_both
from cv_attention.blocks.tokens.relative import RelativeLogits


class HaloAttention(Block):
    """Blocks of b x b queries share the keys of their block and h positions around it.

    Paper: Halo attention (HaloNet: Vaswani et al., CVPR 2021), https://arxiv.org/abs/2103.12731.

    ``softmax(q · (k + r_row + r_column) / sqrt(d)) v`` over (b + 2h)² keys, with learned vectors r per relative row
    and column. There is no output projection.

    The paper does not say what happens off the map. Here such keys are hidden; timm's are zeros that take part.

    Map: `pairwise`, (B, heads, H*W, H, W), zeros outside block and halo; the last two axes sum to 1.

    Args:
        channels: Channels C of the input.
        heads: Number of heads; d = C / heads.
        block_size: Side b of a block, in positions.
        halo_size: Positions h around a block.
        scale_position: Whether the logits of r are divided by sqrt(d) too; timm's are not.
        qkv_bias: Whether the query, key and value projections have biases.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if `channels` is not divisible by `heads`, or a size is not a positive integer.

    Examples:
        >>> import torch
        >>> from cv_attention import blocks, record
        >>> block = blocks.HaloAttention(64, block_size=4, halo_size=1)
        >>> with record(block) as maps:
        ...     print(block(torch.randn(2, 64, 8, 8)).shape)
        torch.Size([2, 64, 8, 8])
        >>> (maps["map"].values[0, 0, 0] > 0).int()  # the first query sees its block and the halo
        tensor([[1, 1, 1, 1, 1, 0, 0, 0],
                [1, 1, 1, 1, 1, 0, 0, 0],
                [1, 1, 1, 1, 1, 0, 0, 0],
                [1, 1, 1, 1, 1, 0, 0, 0],
                [1, 1, 1, 1, 1, 0, 0, 0],
                [0, 0, 0, 0, 0, 0, 0, 0],
                [0, 0, 0, 0, 0, 0, 0, 0],
                [0, 0, 0, 0, 0, 0, 0, 0]], dtype=torch.int32)
    """

    def __init__(
        self,
        channels: int,
        *,
        heads: int = 4,
        block_size: int = 8,
        halo_size: int = 3,
        scale_position: bool = True,
        qkv_bias: bool = False,
        device: Device = None,
        dtype: Dtype = None,
    ) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        check_divisible(channels=channels, heads=heads)
        check_whole(block_size=block_size, halo_size=halo_size)
        self.heads = heads
        self.block_size = block_size
        self.halo_size = halo_size
        self.scale_position = scale_position
        self.query = nn.Linear(channels, channels, bias=qkv_bias, **factory)
        self.key_value = nn.Linear(channels, 2 * channels, bias=qkv_bias, **factory)
        for layer in (self.query, self.key_value):
            nn.init.trunc_normal_(layer.weight, std=channels**-0.5)
        self.position = RelativeLogits((block_size + halo_size, block_size + halo_size), channels // heads, **factory)
        self.map = AttentionMap("pairwise")

    def start_as_identity(self) -> None:
        """Zeroes the values: the block returns zeros, to be added to its input."""
        for parameter in self.key_value.parameters():
            nn.init.zeros_(parameter.detach()[self.key_value.in_features :])

    def forward(self, x: Tensor) -> Tensor:
        """Mixes the positions of `x` (B, C, H, W); the result is laid out channels_last."""
        size = (x.shape[2], x.shape[3])
        tile, halo = (self.block_size, self.block_size), (self.halo_size, self.halo_size)
        query, key_value = (
            project(x, layer).permute(0, 2, 3, 1).contiguous() for layer in (self.query, self.key_value)
        )
        query = cut(query, self.heads, tile)
        key, value = cut(key_value, 2 * self.heads, tile, halo).chunk(2, 1)

        axes = [along(length, self.block_size, self.halo_size, device=x.device) for length in size]
        queries, keys = zip(*axes, strict=True)
        seen = [((key >= 0) & (key < length))[:, None] for key, length in zip(keys, size, strict=True)]
        asking = query * query.shape[-1] ** -0.5 if self.scale_position else query
        # Offsets are the same in every block.
        inside = torch.arange(self.block_size, device=x.device)
        around = torch.arange(-self.halo_size, self.block_size + self.halo_size, device=x.device)
        bias = self.position(asking, (inside, inside), (around, around))
        bias = bias + hide(over_both(seen[0], seen[1]), bias.dtype)
        mixed = attend_in_tiles(
            query, key, value, size=size, queries=queries, keys=keys, bias=bias, observe=self.map.over(size)
        )
        return join(mixed, tile, size).contiguous().permute(0, 3, 1, 2)
