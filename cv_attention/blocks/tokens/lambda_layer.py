"""Lambda layer (LambdaNetworks: Bello, ICLR 2021), https://arxiv.org/abs/2102.08602."""

from torch import Tensor, nn

from cv_attention.blocks.base import (
    AttentionMap,
    Block,
    Device,
    Dtype,
    Factory,
    check_divisible,
    check_odd,
    check_whole,
    zero,
)
from cv_attention.blocks.functional.layout import to_map


class LambdaLayer(Block):
    """Turns the context into a linear function of every query: ``y_n = (λᶜ + λᵖ_n)ᵀ q_n``.

    Paper: Lambda layer (LambdaNetworks: Bello, ICLR 2021), https://arxiv.org/abs/2102.08602.

    λᶜ = softmax(K)ᵀ V summarises the contents, with the softmax over positions; λᵖ_n = E_nᵀ V the positions around n,
    a convolution of the values with one r x r kernel per key depth. All heads share both. Queries and values are
    batch-normalised. This is the paper's lambda convolution with an intra-depth u of 1.

    timm's kernels have a bias, which the paper's have not.

    Map: `pairwise`, (B, 1, k, H, W): where each of the k key channels looks; the last two axes sum to 1.

    Args:
        channels: Channels C of the input.
        heads: Number of heads h; the values have C / h channels.
        key_depth: Number k of key channels.
        kernel_size: Side r of the kernels, odd; the paper uses 23, timm 9.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if `channels` is not divisible by `heads`, or `kernel_size` is even.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import LambdaLayer
        >>> block = LambdaLayer(64, heads=4, key_depth=16, kernel_size=9)
        >>> block(torch.randn(2, 64, 14, 14)).shape
        torch.Size([2, 64, 14, 14])
        >>> block.position  # a 9 x 9 kernel for each of 16 key channels
        Conv2d(1, 16, kernel_size=(9, 9), stride=(1, 1), padding=(4, 4), bias=False)
    """

    def __init__(
        self,
        channels: int,
        *,
        heads: int = 4,
        key_depth: int = 16,
        kernel_size: int = 23,
        device: Device = None,
        dtype: Dtype = None,
    ) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        check_divisible(channels=channels, heads=heads)
        check_whole(key_depth=key_depth)
        check_odd(kernel_size=kernel_size)
        self.heads = heads
        self.key_depth = key_depth
        depth = channels // heads
        self.qkv = nn.Conv2d(channels, heads * key_depth + key_depth + depth, 1, bias=False, **factory)
        self.norm_query = nn.BatchNorm2d(heads * key_depth, **factory)
        self.norm_value = nn.BatchNorm2d(depth, **factory)
        self.position = nn.Conv2d(1, key_depth, kernel_size, padding=kernel_size // 2, bias=False, **factory)
        nn.init.normal_(self.qkv.weight, std=channels**-0.5)
        nn.init.normal_(self.position.weight, std=0.02)
        self.map = AttentionMap("pairwise")

    def start_as_identity(self) -> None:
        """Zeroes the values' norm: the block returns zeros, to be added to its input."""
        zero(self.norm_value)

    def forward(self, x: Tensor) -> Tensor:
        """Applies to every position of `x` (B, C, H, W) its lambda; keeps shape and memory format."""
        height, width = x.shape[2:]
        depth = x.shape[1] // self.heads
        query, key, value = self.qkv(x).split((self.heads * self.key_depth, self.key_depth, depth), 1)
        query = self.norm_query(query).flatten(2).transpose(1, 2).unflatten(2, (self.heads, -1))
        value = self.norm_value(value)
        attention = self.map(key.flatten(2).softmax(-1)[:, None].unflatten(-1, (height, width)))
        content = attention[:, 0].flatten(-2).to(value.dtype) @ value.flatten(2).transpose(1, 2)
        # Every value channel is an image of its own, (B v, 1, H, W), laid out channels_last: the k results of a
        # position then lie together, and move together into (B, N, v, k).
        local = self.position(value.flatten(0, 1)[..., None].permute(0, 3, 1, 2)).unflatten(0, (-1, depth))
        local = local.flatten(3).permute(0, 3, 1, 2).contiguous().transpose(2, 3)
        # (B, N h, k) (B, k, v) + (B, N, h, k) (B, N, k, v); the larger λᵖ is written once
        output = (query.flatten(1, 2) @ content).unflatten(1, (-1, self.heads)) + query @ local
        return to_map(output.flatten(2), x)
