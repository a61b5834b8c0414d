"""Efficient channel attention, ECA-Net (Wang et al., CVPR 2020), https://arxiv.org/abs/1910.03151."""

from math import log2

from torch import Tensor, nn

from cv_attention.blocks.base import (
    Device,
    Dtype,
    Factory,
    Gate,
    check_number,
    check_odd,
    check_positive,
    check_whole,
    zero,
)
from cv_attention.blocks.functional.pooling import average


def adaptive_kernel(channels: int, gamma: float, b: float) -> int:
    """Returns ``|(log2 channels + b) / gamma|`` rounded down, and up to the next odd number (equation 12).

    Raises:
        ValueError: if `gamma` is not positive or `b` is not a number.
    """
    check_positive(gamma=gamma)
    check_number(b=b)
    width = int(abs((log2(channels) + b) / gamma))
    return width if width % 2 else width + 1


class EfficientChannelAttention(Gate):
    """Reweights channels from their neighbours' averages: ``x * sigmoid(conv1d(mean(x)))``.

    Paper: Efficient channel attention, ECA-Net (Wang et al., CVPR 2020), https://arxiv.org/abs/1910.03151.

    Map: `channel`, (B, C, 1, 1), values in (0, 1); about 0.5 at the start.

    The kernel grows with the channels, ``|(log2 C + b) / gamma|`` made odd (equation 12). The official
    ResNet-50 does not follow it, but uses the kernels 3, 5, 5, 7 in its four stages: give `kernel_size` for
    these.

    Args:
        channels: Channels C of the input.
        kernel_size: Channels that one gate looks at, odd; None takes the formula.
        gamma: Slope of the formula.
        b: Offset of the formula.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if `channels` is not a positive integer, `kernel_size` even or `gamma` not positive.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import EfficientChannelAttention
        >>> EfficientChannelAttention(64)(torch.randn(2, 64, 14, 14)).shape
        torch.Size([2, 64, 14, 14])
        >>> [EfficientChannelAttention(channels).conv.kernel_size for channels in (64, 512)]  # the formula
        [(3,), (5,)]
        >>> EfficientChannelAttention(512, kernel_size=7).conv.kernel_size
        (7,)
    """

    kind = "channel"

    def __init__(
        self,
        channels: int,
        *,
        kernel_size: int | None = None,
        gamma: float = 2,
        b: float = 1,
        device: Device = None,
        dtype: Dtype = None,
    ) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        check_whole(channels=channels)
        if kernel_size is None:
            kernel_size = adaptive_kernel(channels, gamma, b)
        check_odd(kernel_size=kernel_size)
        self.conv = nn.Conv1d(1, 1, kernel_size, padding=kernel_size // 2, bias=False, **factory)

    def start_as_identity(self) -> None:
        """Zeroes the last layer, so that the gate starts at 0.5, and divides the gate by that."""
        zero(self.conv)
        self.start = 0.5

    def attention(self, x: Tensor) -> Tensor:
        """Computes the gate (B, C, 1, 1) of `x` (B, C, H, W)."""
        return self.conv(average(x, (2, 3))[:, None]).sigmoid()[:, 0, :, None, None]
