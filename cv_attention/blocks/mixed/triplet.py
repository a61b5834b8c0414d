"""Triplet attention (Misra et al., WACV 2021), https://arxiv.org/abs/2010.03045."""

import torch
from torch import Tensor, nn

from cv_attention.blocks.base import STEEP, Device, Dtype, Factory, Gate, check_odd, check_whole, zero
from cv_attention.blocks.functional.gating import times
from cv_attention.blocks.functional.pooling import average, needs_gradient


class TripletAttention(Gate):
    """Averages three gates, each blind to one axis: ``x * (g_CW(x) + g_CH(x) + g_HW(x)) / 3``.

    Paper: Triplet attention (Misra et al., WACV 2021), https://arxiv.org/abs/2010.03045.

    Each gate is ``sigmoid(norm(conv([max, mean])))`` of the maximum and mean along its blind axis (Z-pool), with one
    convolution over the two other axes: channels take the part of a spatial axis there. All have batch norms with
    momentum 0.01.

    Map: `joint`, (B, C, H, W), the mean of the gates, values in (0, 1); about 0.5 at the start.

    Args:
        channels: Channels C of the input; the gates' weights do not depend on them.
        kernel_size: Side of the square convolutions, odd.
        no_spatial: Leaves out g_HW, as the official code can; the mean is then of two gates.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if `channels` is not a positive integer or `kernel_size` is even.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import TripletAttention
        >>> block = TripletAttention(64, kernel_size=7)
        >>> block(torch.randn(2, 64, 14, 14)).shape
        torch.Size([2, 64, 14, 14])
        >>> sum(parameter.numel() for parameter in block.parameters())  # whatever the number of channels
        300
    """

    kind = "joint"
    gain: float = 1.0  # what multiplies the last norm; `STEEP` where its scale starts at zero

    def __init__(
        self,
        channels: int,
        *,
        kernel_size: int = 7,
        no_spatial: bool = False,
        device: Device = None,
        dtype: Dtype = None,
    ) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        check_whole(channels=channels)
        check_odd(kernel_size=kernel_size)

        def gate() -> nn.Sequential:
            conv = nn.Conv2d(2, 1, kernel_size, padding=kernel_size // 2, bias=False, **factory)
            return nn.Sequential(conv, nn.BatchNorm2d(1, momentum=0.01, **factory), nn.Sigmoid())

        self.cw = gate()
        self.hc = gate()
        self.hw = None if no_spatial else gate()

    def start_as_identity(self) -> None:
        """Zeroes the norms' scales, so that all gates start at 0.5, and divides their mean by that."""
        for gate in (self.cw, self.hc, self.hw):
            if gate is not None:
                zero(gate[1])
        self.start, self.gain = 0.5, STEEP

    def attention(self, x: Tensor) -> Tensor:
        """Computes the gate (B, C, H, W) of `x` (B, C, H, W)."""
        share = 1 / 2 if self.hw is None else 1 / 3
        # The small gates are scaled, and only their sum is as large as x.
        cw = self._gate(self.cw, _z_pool(x, 2)).transpose(1, 2) * share
        hc = self._gate(self.hc, _z_pool(x, 3).transpose(2, 3)).transpose(1, 3) * share
        if self.hw is None:
            return cw + hc
        return cw + hc + self._gate(self.hw, _z_pool(x, 1)) * share

    def _gate(self, gate: nn.Sequential, pooled: Tensor) -> Tensor:
        """Runs one gate's convolution, norm and sigmoid."""
        conv, norm, sigmoid = gate
        return sigmoid(times(norm(conv(pooled)), self.gain))


def _z_pool(x: Tensor, axis: int) -> Tensor:
    """Stacks maximum and mean along `axis` of `x` (B, C, H, W): (B, 2, the two other axes)."""
    # The gradient of `max` goes to one element, that of `amax` compares all of them.
    maximum = x.max(axis).values if needs_gradient(x) else x.amax(axis)
    return torch.stack([maximum, average(x, axis)], 1)
