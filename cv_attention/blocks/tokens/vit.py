"""Vision Transformer's encoder block (Dosovitskiy et al., ICLR 2021), https://arxiv.org/abs/2010.11929."""

from typing import Literal, get_args

from torch import Tensor, nn

from cv_attention.blocks.base import Block, Device, Dtype, Factory, check_choice, check_divisible, check_positive, zero
from cv_attention.blocks.functional.sincos import sincos_2d
from cv_attention.blocks.tokens.multi_head import MultiHeadSelfAttention

PositionEncoding = Literal["sincos", "rope", "none"]


class ViTBlock(Block):
    """Pre-norm self-attention and MLP over positions: ``x = x + MSA(LN(x) + P)``, then ``x + MLP(LN(x))``.

    Paper: Vision Transformer's encoder block (Dosovitskiy et al., ICLR 2021), https://arxiv.org/abs/2010.11929.

    Differs from the paper in the position encoding P: there it is learned for one size and added once to the
    first block's input. Here it is 2-D sine-cosine, so that any H and W do, and is added to the normalised
    input, so that a CNN's features, whose scale is unknown, stay as they are on the residual path.
    ``position="none"`` is the paper's block exactly.

    Map: `attention.map`, `pairwise`, (B, heads, H*W, H, W); the last two axes sum to 1.

    Args:
        channels: Channels C of the input.
        heads: Number of heads.
        mlp_ratio: Width of the MLP's hidden layer divided by C.
        qkv_bias: Whether the query, key and value projections have biases.
        position: ``sincos``; ``rope``, which rotates queries and keys instead (`MultiHeadSelfAttention`); or ``none``.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if `channels` is not divisible by `heads`, `mlp_ratio` is not positive or `position` is
            unknown.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from cv_attention.blocks import ViTBlock
        >>> patches = nn.Conv2d(3, 64, 8, stride=8)
        >>> model = nn.Sequential(patches, ViTBlock(64, heads=4), ViTBlock(64, position="rope"))
        >>> model(torch.randn(2, 3, 64, 64)).shape
        torch.Size([2, 64, 8, 8])
    """

    def __init__(
        self,
        channels: int,
        *,
        heads: int = 4,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = True,
        position: PositionEncoding = "sincos",
        device: Device = None,
        dtype: Dtype = None,
    ) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        check_divisible(channels=channels, heads=heads)
        check_positive(mlp_ratio=mlp_ratio)
        check_choice("position", position, get_args(PositionEncoding))
        self.position = position
        self.norm1 = nn.LayerNorm(channels, eps=1e-6, **factory)
        rotated = "rope" if position == "rope" else "none"
        self.attention = MultiHeadSelfAttention(channels, heads=heads, qkv_bias=qkv_bias, position=rotated, **factory)
        self.norm2 = nn.LayerNorm(channels, eps=1e-6, **factory)
        hidden = max(int(channels * mlp_ratio), 1)
        self.mlp = nn.Sequential(
            nn.Linear(channels, hidden, **factory), nn.GELU(), nn.Linear(hidden, channels, **factory)
        )

    def start_as_identity(self) -> None:
        """Zeroes the last layers of both branches."""
        zero(self.attention.project, self.mlp[-1])

    def forward(self, x: Tensor) -> Tensor:
        """Mixes the positions of `x` (B, C, H, W); keeps shape and memory format."""
        # Only views change between (B, C, H, W) and (B, H, W, C); the additions keep x's memory format.
        tokens = self.norm1(x.permute(0, 2, 3, 1))
        if self.position == "sincos":
            _, channels, height, width = x.shape
            tokens = tokens + sincos_2d(channels, height, width, device=x.device).to(tokens.dtype)
        x = x + self.attention(tokens.permute(0, 3, 1, 2))
        return x + self.mlp(self.norm2(x.permute(0, 2, 3, 1))).permute(0, 3, 1, 2)
