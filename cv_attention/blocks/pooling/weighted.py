"""The base of attention poolings that are gates, and make a weighted mean of a mean over positions."""

from typing import Literal

import torch
from torch import Tensor, nn

from cv_attention.blocks.base import Device, Dtype, Factory, Gate, bottleneck, check_divisible
from cv_attention.blocks.functional.gating import softmax_gate
from cv_attention.blocks.functional.half_precision import widened
from cv_attention.blocks.functional.pooling import average

# Where the query comes from: a parameter, or the mean of the feature map.
State = Literal["learned", "global"]


class WeightedPool(Gate):
    """Multiplies N positions by N times their attention weights: ``x_i * N a_i``, whose mean is ``sum_i a_i x_i``.

    A subclass computes the scores e of ``a = softmax(e)``, and starts with equal ones: it is then the identity.

    Args:
        channels: Channels C of the input.
        heads: Number of groups of C / heads neighbouring channels, each with weights of its own. With one, the map is
            `spatial`; with several it is `joint`.

    Raises:
        ValueError: if `channels` is not divisible by `heads`, or one is not a positive integer.
    """

    kind = "spatial"

    def __init__(self, channels: int, heads: int) -> None:
        check_divisible(channels=channels, heads=heads)
        self.kind = "spatial" if heads == 1 else "joint"
        super().__init__()
        self.heads = heads

    def scores(self, x: Tensor) -> Tensor:
        """Computes the scores (B, heads, H*W) of `x` (B, C, H, W)."""
        raise NotImplementedError

    def gate(self, x: Tensor) -> Tensor:
        """Computes N times the weights, (B, heads, H*W), of `x` (B, C, H, W)."""
        return softmax_gate(self.scores(x))

    def attention(self, x: Tensor) -> Tensor:
        """Computes the gate (B, 1, H, W), or with several heads (B, C, H, W), of `x` (B, C, H, W)."""
        gate = self.gate(x).to(x.dtype).unflatten(2, x.shape[2:])
        if self.heads == 1:
            return gate
        return gate[:, :, None].expand(-1, -1, x.shape[1] // self.heads, -1, -1).flatten(1, 2)

    def split(self, x: Tensor) -> Tensor:
        """Returns `x` (B, C, H, W) as one row for each head and position, (B, heads, H*W, C / heads)."""
        return x.flatten(2).unflatten(1, (self.heads, -1)).transpose(2, 3)


def mean_of(x: Tensor) -> Tensor:
    """Returns the mean of `x` (B, C, H, W) over positions, (B, C, 1, 1), in float32 or wider."""
    return average(widened(x), (2, 3), keepdim=True)


def hidden_width(channels: int, width: int | None) -> int:
    """Returns `width`, or a quarter of the channels, at least 1, where it is None."""
    return bottleneck(channels, 4) if width is None else width


def per_head(channels: int, outputs: int, heads: int, *, bias: bool, factory: Factory) -> nn.Conv2d:
    """Returns a projection of every position that takes each head's channels to `outputs` channels of its own."""
    return nn.Conv2d(channels, heads * outputs, 1, groups=heads, bias=bias, **factory)


def drawn(*shape: int, device: Device, dtype: Dtype) -> nn.Parameter:
    """Returns weights (..., outputs, inputs), drawn as those of `nn.Linear`: uniform up to ``1 / sqrt(inputs)``."""
    bound = shape[-1] ** -0.5
    return nn.Parameter(torch.empty(*shape, device=device, dtype=dtype).uniform_(-bound, bound))
