"""Focused linear attention (FLatten Transformer: Han et al., ICCV 2023), https://arxiv.org/abs/2308.00442."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

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
from cv_attention.blocks.functional.linear import attend_linearly


class FocusedLinearAttention(Block):
    """Linear attention that is as sharp and as diverse as with a softmax: ``φ(Q) (φ(K)ᵀ V) / Σ + DWC(V)``, then W_o.

    Paper: Focused linear attention (FLatten Transformer: Han et al., ICCV 2023), https://arxiv.org/abs/2308.00442.

    φ(x) = |y| / |y^p| * y^p with y = relu(x) / s keeps the length of y and turns it towards its nearest axis; s is
    learned per channel, by softplus. DWC is a depthwise convolution that all heads share.

    As in the official code the lengths are taken over all heads. Its learned position encoding, which fits one
    feature size, is left out.

    Map: `pairwise`, (B, heads, H*W, H, W), ``φ(q_i)·φ(k_j) / Σ_j``, without DWC; the last two axes sum to 1 but for
    an ε of 1e-6.

    Args:
        channels: Channels C of the input.
        heads: Number of heads; d = C / heads.
        focusing_factor: Power p.
        kernel_size: Side of the kernels of DWC, odd.
        qkv_bias: Whether the query, key and value projections have biases.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if `channels` is not divisible by `heads`, or `kernel_size` is even.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import FocusedLinearAttention
        >>> block = FocusedLinearAttention(64, heads=4, focusing_factor=3)
        >>> block(torch.randn(2, 64, 14, 14)).shape
        torch.Size([2, 64, 14, 14])
        >>> block.local  # the depthwise convolution DWC
        Conv2d(16, 16, kernel_size=(5, 5), stride=(1, 1), padding=(2, 2), groups=16)
    """

    def __init__(
        self,
        channels: int,
        *,
        heads: int = 4,
        focusing_factor: int = 3,
        kernel_size: int = 5,
        qkv_bias: bool = True,
        device: Device = None,
        dtype: Dtype = None,
    ) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        check_divisible(channels=channels, heads=heads)
        check_whole(focusing_factor=focusing_factor)
        check_odd(kernel_size=kernel_size)
        self.heads = heads
        self.focusing_factor = focusing_factor
        self.qkv = nn.Linear(channels, 3 * channels, bias=qkv_bias, **factory)
        self.scale = nn.Parameter(torch.zeros(channels, **factory))
        depth = channels // heads
        self.local = nn.Conv2d(depth, depth, kernel_size, padding=kernel_size // 2, groups=depth, **factory)
        self.project = nn.Linear(channels, channels, **factory)
        self.map = AttentionMap("pairwise")

    def start_as_identity(self) -> None:
        """Zeroes the last layer: the block returns zeros, to be added to its input."""
        zero(self.project)

    def forward(self, x: Tensor) -> Tensor:
        """Mixes the positions of `x` (B, C, H, W); the result is laid out channels_last."""
        size = (x.shape[2], x.shape[3])
        query, key, value = self.qkv(x.flatten(2).transpose(1, 2)).chunk(3, 2)
        query, key, value = (
            part.unflatten(2, (self.heads, -1)).transpose(1, 2)
            for part in (self._focus(query), self._focus(key), value)
        )
        mixed = attend_linearly(query, key, value, observe=self.map.over(size))
        # Every head is an image of its own, (B heads, d, H, W).
        local = self.local(value.transpose(2, 3).unflatten(3, size).flatten(0, 1))
        mixed = mixed + local.flatten(2).unflatten(0, (-1, self.heads)).transpose(2, 3)
        return self.project(mixed.transpose(1, 2).flatten(2)).transpose(1, 2).unflatten(2, size)

    def _focus(self, x: Tensor) -> Tensor:
        # Powers leave the range of half precision.
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        wide = (F.relu(wide) + 1e-6) / F.softplus(self.scale)
        power = wide**self.focusing_factor
        length = wide.norm(dim=-1, keepdim=True) / power.norm(dim=-1, keepdim=True)
        return (power * length).to(x.dtype)
