"""Multi-head self-attention over positions (Vaswani et al., 2017, https://arxiv.org/abs/1706.03762).

Over the positions of a CNN's feature map: Cordonnier et al., ICLR 2020, https://arxiv.org/abs/1911.03584.
"""

from typing import Literal, get_args

from torch import Tensor, nn

from cv_attention.blocks.base import AttentionMap, Block, Device, Dtype, Factory, check_choice, check_divisible, zero
from cv_attention.blocks.functional.attention import attend
from cv_attention.blocks.functional.layout import project, to_map, to_tokens
from cv_attention.blocks.functional.rotary import rotate_2d

PositionEncoding = Literal["rope", "none"]


class MultiHeadSelfAttention(Block):
    """Mixes positions by their content: ``concat_h(softmax(Q_h K_hᵀ / sqrt(d)) V_h) W_o``, d = C / heads.

    Papers: multi-head attention (Vaswani et al., 2017), https://arxiv.org/abs/1706.03762; over the positions of a CNN's
    feature map (Cordonnier et al., ICLR 2020), https://arxiv.org/abs/1911.03584.

    It knows no positions (`ViTBlock` adds them) unless `position` is ``rope``, and has no residual connection.
    Memory grows with (H*W)² only while the map is observed.

    Map: `pairwise`, (B, heads, H*W, H, W); the last two axes sum to 1.

    Args:
        channels: Channels C of the input.
        heads: Number of heads h.
        qkv_bias: Whether the query, key and value projections have biases.
        position: ``none``, or ``rope``: queries and keys are rotated by their row and column (`rotate_2d`); heads
            with fewer than 4 channels stay as they are.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if `channels` is not divisible by `heads`, one is not a positive integer, or `position` is
            unknown.

    Examples:
        >>> import torch
        >>> from cv_attention import blocks, record
        >>> block = blocks.MultiHeadSelfAttention(64, heads=4, position="rope")
        >>> x = torch.randn(2, 64, 7, 7)
        >>> with record(block) as maps:
        ...     print((x + block(x)).shape)
        torch.Size([2, 64, 7, 7])
        >>> maps["map"].values.shape  # where each of the 49 positions looks
        torch.Size([2, 4, 49, 7, 7])
    """

    def __init__(
        self,
        channels: int,
        *,
        heads: int = 4,
        qkv_bias: bool = True,
        position: PositionEncoding = "none",
        device: Device = None,
        dtype: Dtype = None,
    ) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        check_divisible(channels=channels, heads=heads)
        check_choice("position", position, get_args(PositionEncoding))
        self.heads = heads
        self.position = position
        self.qkv = nn.Linear(channels, 3 * channels, bias=qkv_bias, **factory)
        self.project = nn.Linear(channels, channels, **factory)
        self.map = AttentionMap("pairwise")

    def start_as_identity(self) -> None:
        """Zeroes the last layer: the block returns zeros, to be added to its input."""
        zero(self.project)

    def forward(self, x: Tensor) -> Tensor:
        """Mixes the positions of `x` (B, C, H, W); keeps shape and memory format."""
        size = (x.shape[2], x.shape[3])
        parts = (to_tokens(part) for part in project(x, self.qkv).chunk(3, 1))
        query, key, value = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in parts)
        if self.position == "rope":
            query, key = (rotate_2d(part, *size) for part in (query, key))
        mixed = attend(query, key, value, observe=self.map.over(size))
        return project(to_map(mixed.transpose(1, 2).flatten(2), x), self.project)
