"""Spatial group-wise enhance, SGE (Li et al., 2019), https://arxiv.org/abs/1905.09646."""

from math import gcd

import torch
from torch import Tensor, nn

from cv_attention.blocks.base import AttentionMap, Block, Device, Dtype, Factory, check_divisible, check_whole, zero
from cv_attention.blocks.functional.gating import over_start
from cv_attention.blocks.functional.half_precision import widened, without_autocast


class SpatialGroupEnhance(Block):
    """Reweights the positions of each channel group by their likeness to the group's average.

    Paper: Spatial group-wise enhance, SGE (Li et al., 2019), https://arxiv.org/abs/1905.09646.

    For each of G groups, with g the group's mean over positions and t its similarity ``t_i = g . x_i``:
    ``x_i * sigmoid(weight * (t_i - mean t) / (std t + 1e-5) + bias)``, one weight and one bias per group.

    Map: `joint`, (B, C, H, W), values in (0, 1), equal within a group; 0.731 at the start (weight 0, bias 1).

    Args:
        channels: Channels C of the input.
        groups: Number of groups G; None takes the paper's 64, or the largest divisor of 64 that divides `channels`.
        unbiased: Whether the deviation divides by H W - 1, as in the official code, or by H W as in the paper's
            equation.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if `channels` or `groups` is not a positive integer, or `groups` does not divide `channels`.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import SpatialGroupEnhance
        >>> block = SpatialGroupEnhance(64, groups=8)
        >>> block(torch.randn(2, 64, 14, 14)).shape
        torch.Size([2, 64, 14, 14])
        >>> sum(parameter.numel() for parameter in block.parameters())  # a weight and a bias for each group
        16
    """

    start: float = 1.0  # as in `Gate`

    def __init__(
        self,
        channels: int,
        *,
        groups: int | None = None,
        unbiased: bool = True,
        device: Device = None,
        dtype: Dtype = None,
    ) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        check_whole(channels=channels)
        groups = gcd(64, channels) if groups is None else groups
        check_divisible(channels=channels, groups=groups)
        self.groups = groups
        self.unbiased = unbiased
        self.weight = nn.Parameter(torch.zeros(groups, 1, **factory))
        self.bias = nn.Parameter(torch.ones(groups, 1, **factory))
        self.map = AttentionMap("joint")

    def start_as_identity(self) -> None:
        """Zeroes the biases too, so that the gate starts at 0.5, and divides the gate by that."""
        zero(self.bias)
        self.start = 0.5

    def forward(self, x: Tensor) -> Tensor:
        """Reweights `x` (B, C, H, W); keeps shape and memory format."""
        grouped = x.unflatten(1, (self.groups, -1))
        gate = self._gate(grouped)[:, :, None]
        if self.map.observed:
            return x * over_start(self.map(gate.expand(grouped.shape).flatten(1, 2)), self.start)
        # The product over five axes leaves the gate at one value per group and position.
        return (grouped * over_start(gate, self.start)).flatten(1, 2)

    def _gate(self, grouped: Tensor) -> Tensor:
        """Computes the gate (B, G, H, W) of `grouped` (B, G, C / G, H, W)."""
        positions = widened(grouped.flatten(3))
        with without_autocast(grouped):
            similarity = (positions.mean(3)[:, :, None] @ positions)[:, :, 0]
        # A single position has no unbiased deviation; its gate is the bias alone.
        correction = 1 if self.unbiased and similarity.shape[2] > 1 else 0
        deviation = similarity.std(2, correction=correction, keepdim=True) + 1e-5
        normalised = (similarity - similarity.mean(2, keepdim=True)) / deviation
        gate = (normalised * self.weight + self.bias).sigmoid()
        return gate.to(grouped.dtype).unflatten(2, grouped.shape[3:])
