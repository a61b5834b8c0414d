"""Effective squeeze-excitation, eSE (CenterMask; Lee and Park, CVPR 2020), https://arxiv.org/abs/1911.06667."""

from torch import Tensor, nn
from torch.nn import functional as F

from cv_attention.blocks.base import Device, Dtype, Factory, Gate, check_whole, zero
from cv_attention.blocks.functional.pooling import average


class EffectiveSE(Gate):
    """Reweights channels from their global averages, without a bottleneck: ``x * hsigmoid(W mean(x) + b)``.

    Paper: Effective squeeze-excitation, eSE (CenterMask; Lee and Park, CVPR 2020), https://arxiv.org/abs/1911.06667.

    Map: `channel`, (B, C, 1, 1), values in [0, 1]; about 0.5 at the start.

    The gate is the official code's piecewise linear ``hsigmoid(z) = min(max(z + 3, 0), 6) / 6``; the paper's
    equation writes sigma for it.

    Args:
        channels: Channels C of the input.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if `channels` is not a positive integer.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import EffectiveSE
        >>> block = EffectiveSE(64)
        >>> block(torch.randn(2, 64, 14, 14)).shape
        torch.Size([2, 64, 14, 14])
        >>> block.excite  # no bottleneck
        Linear(in_features=64, out_features=64, bias=True)
    """

    kind = "channel"

    def __init__(self, channels: int, *, device: Device = None, dtype: Dtype = None) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        check_whole(channels=channels)
        self.excite = nn.Linear(channels, channels, **factory)

    def start_as_identity(self) -> None:
        """Zeroes the last layer, so that the gate starts at 0.5, and divides the gate by that."""
        zero(self.excite)
        self.start = 0.5

    def attention(self, x: Tensor) -> Tensor:
        """Computes the gate (B, C, 1, 1) of `x` (B, C, H, W)."""
        return F.hardsigmoid(self.excite(average(x, (2, 3))))[:, :, None, None]
