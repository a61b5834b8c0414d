"""Self-attention with 2-D relative positions (BoTNet: Srinivas et al., CVPR 2021), https://arxiv.org/abs/2101.11605."""

from torch import Tensor, nn

from cv_attention.blocks.base import AttentionMap, Block, Device, Dtype, Factory, check_divisible, check_whole
from cv_attention.blocks.functional.attention import attend
from cv_attention.blocks.functional.layout import project, to_map
from cv_attention.blocks.tokens.relative import RelativeLogits


class BottleneckAttention(Block):
    """All-to-all attention by content and offset: ``softmax(q · (k + r_row + r_column) / sqrt(d)) v``.

    Paper: Self-attention with 2-D relative positions (BoTNet: Srinivas et al., CVPR 2021),
    https://arxiv.org/abs/2101.11605.

    r are learned vectors per relative row and relative column, shared by the heads. There is no output projection:
    in the paper a bottleneck's 1 x 1 convolution follows.

    The paper's vectors are for one feature size. Here `size` says how far they reach; offsets beyond are clipped
    (Shaw et al. 2018), so any H and W do, and up to `size` it is the paper's.

    Map: `pairwise`, (B, heads, H*W, H, W); the last two axes sum to 1.

    Args:
        channels: Channels C of the input.
        heads: Number of heads; d = C / heads.
        size: Rows and columns with a relative position of their own; 14 in the paper's classifiers.
        scale_position: Whether the logits of r are divided by sqrt(d) too, as in the official code; timm's are not.
        qkv_bias: Whether the query, key and value projections have biases; the official ones have none.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if `channels` is not divisible by `heads`, or `size` is not a positive integer.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from cv_attention.blocks import BottleneckAttention
        >>> attention = BottleneckAttention(64, heads=4)  # in place of a bottleneck's 3 x 3 convolution
        >>> branch = nn.Sequential(nn.Conv2d(256, 64, 1), nn.BatchNorm2d(64), attention, nn.Conv2d(64, 256, 1))
        >>> branch(torch.randn(2, 256, 14, 14)).shape
        torch.Size([2, 256, 14, 14])
    """

    def __init__(
        self,
        channels: int,
        *,
        heads: int = 4,
        size: int = 14,
        scale_position: bool = True,
        qkv_bias: bool = False,
        device: Device = None,
        dtype: Dtype = None,
    ) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        check_divisible(channels=channels, heads=heads)
        check_whole(size=size)
        self.heads = heads
        self.scale_position = scale_position
        self.qkv = nn.Linear(channels, 3 * channels, bias=qkv_bias, **factory)
        nn.init.trunc_normal_(self.qkv.weight, std=channels**-0.5)
        self.position = RelativeLogits((size, size), channels // heads, **factory)
        self.map = AttentionMap("pairwise")

    def start_as_identity(self) -> None:
        """Zeroes the values: the block returns zeros, to be added to its input."""
        for parameter in self.qkv.parameters():
            nn.init.zeros_(parameter.detach()[-self.qkv.in_features :])

    def forward(self, x: Tensor) -> Tensor:
        """Mixes the positions of `x` (B, C, H, W); keeps shape and memory format."""
        size = (x.shape[2], x.shape[3])
        # (B, 3C, H, W) -> three of (B, heads, N, d)
        qkv = project(x, self.qkv).flatten(2).unflatten(1, (3, self.heads, -1)).transpose(0, 1).contiguous()
        query, key, value = qkv.transpose(-2, -1).unbind(0)
        asking = query * query.shape[-1] ** -0.5 if self.scale_position else query
        mixed = attend(query, key, value, bias=self.position.among(asking, size), observe=self.map.over(size))
        return to_map(mixed.transpose(1, 2).flatten(2), x)
