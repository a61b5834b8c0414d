"""Attention-augmented convolution (Bello et al., ICCV 2019), https://arxiv.org/abs/1904.09925."""

import torch
from torch import Tensor, nn

from cv_attention.blocks.base import (
    AttentionMap,
    Block,
    Device,
    Dtype,
    Factory,
    check_odd,
    check_positive,
    check_whole,
    zero,
)
from cv_attention.blocks.functional.attention import attend
from cv_attention.blocks.functional.layout import laid_out_as, project, to_map, to_tokens
from cv_attention.blocks.tokens.relative import RelativeLogits


class AttentionAugmentedConv(Block):
    """Concatenates self-attention to a convolution: ``concat[conv(x), W_o concat_h(O_h)]``.

    Paper: Attention-augmented convolution (Bello et al., ICCV 2019), https://arxiv.org/abs/1904.09925.

    ``O_h = softmax((Q K' + S_H + S_W) / sqrt(d)) V``; S_H and S_W are ``q_i . r(j - i)`` with vectors r learned for
    every distance in rows and in columns, shared by the heads.

    Map: `pairwise`, (B, heads, H*W, H, W); the last two axes sum to 1.

    It replaces a convolution and has no residual connection around it. The paper has one vector for each distance in
    images of one size; here distances of `extent` or more share the last one, so that any H and W do.

    Args:
        channels: Channels C of the input.
        kernel_size: Side of the square convolution, odd.
        kappa: Share of C that the keys have, over all heads.
        upsilon: Share of C that comes from attention, at most 1; the rest is convolved.
        heads: Number of heads; None takes 8, or as many as there are attention channels.
        minimum: Channels that a head's keys have at least.
        relative: Whether distances count, or only contents.
        extent: Distances below this have a vector of their own.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if `heads` is above `channels`, or an argument is not in its range.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import AttentionAugmentedConv
        >>> block = AttentionAugmentedConv(64, upsilon=0.25, heads=4)  # attention makes a quarter of C
        >>> block(torch.randn(2, 64, 14, 14)).shape
        torch.Size([2, 64, 14, 14])
        >>> block.conv.out_channels, block.project.out_features
        (48, 16)
    """

    def __init__(
        self,
        channels: int,
        *,
        kernel_size: int = 3,
        kappa: float = 0.2,
        upsilon: float = 0.1,
        heads: int | None = None,
        minimum: int = 20,
        relative: bool = True,
        extent: int = 32,
        device: Device = None,
        dtype: Dtype = None,
    ) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        check_whole(channels=channels, minimum=minimum, extent=extent)
        check_odd(kernel_size=kernel_size)
        check_positive(kappa=kappa, upsilon=upsilon)
        if upsilon > 1:
            raise ValueError(f"upsilon must be at most 1, got upsilon={upsilon!r}")
        heads = min(8, max(round(upsilon * channels), 1)) if heads is None else heads
        check_whole(heads=heads)
        if heads > channels:
            raise ValueError(f"heads must be at most channels, got heads={heads}, channels={channels}")
        value, depth = max(round(upsilon * channels) // heads, 1), max(round(kappa * channels) // heads, minimum)
        self.heads, self.widths = heads, [heads * depth, heads * depth, heads * value]
        rest = channels - heads * value
        self.conv = nn.Conv2d(channels, rest, kernel_size, padding=kernel_size // 2, **factory) if rest else None
        self.qkv = nn.Linear(channels, sum(self.widths), **factory)
        self.project = nn.Linear(heads * value, heads * value, **factory)
        self.position = RelativeLogits((extent, extent), depth, **factory) if relative else None
        self.map = AttentionMap("pairwise")

    def start_as_identity(self) -> None:
        """Zeroes the last layers: the block returns zeros, to be added to its input."""
        zero(self.project, *([] if self.conv is None else [self.conv]))

    def forward(self, x: Tensor) -> Tensor:
        """Convolves and mixes `x` (B, C, H, W); keeps shape and memory format."""
        size = (x.shape[2], x.shape[3])
        parts = (to_tokens(part) for part in project(x, self.qkv).split(self.widths, 1))
        # (B, N, heads * d) -> (B, heads, N, d)
        query, key, value = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in parts)
        query = query * query.shape[-1] ** -0.5
        bias = None if self.position is None else self.position.among(query, size)
        mixed = attend(query, key, value, bias=bias, scale=1.0, observe=self.map.over(size))
        mixed = project(to_map(mixed.transpose(1, 2).flatten(2), x), self.project)
        if self.conv is None:
            return mixed
        local = self.conv(x)
        # Where they are laid out differently, the convolution decides.
        return laid_out_as(torch.cat([local, mixed], 1), local)
