"""Circular ECA: ECA-Net (Wang et al., CVPR 2020) with its ends joined, https://arxiv.org/abs/1910.03151.

The circular padding is not the paper's but timm's, where the block is called CecaModule.
"""

import torch
from torch import Tensor, nn

from cv_attention.blocks.base import Device, Dtype, Factory, Gate, check_odd, check_whole, zero
from cv_attention.blocks.channel.efficient_channel import adaptive_kernel
from cv_attention.blocks.functional.pooling import average


class CircularECA(Gate):
    """Reweights channels from their neighbours' averages, the last next to the first.

    Paper: Circular ECA: ECA-Net (Wang et al., CVPR 2020) with its ends joined, https://arxiv.org/abs/1910.03151.

    ``x * sigmoid(conv1d(mean(x)))`` as in ECA, but the convolution wraps around where ECA pads with zeros:
    channels have no order, so none of them should be an end.

    Map: `channel`, (B, C, 1, 1), values in (0, 1); about 0.5 at the start.

    Args:
        channels: Channels C of the input.
        kernel_size: Channels that one gate looks at, odd and at most 2 C + 1; None takes ECA's formula.
        gamma: Slope of the formula.
        b: Offset of the formula.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if `channels` is not a positive integer, `kernel_size` even or too large, or `gamma` not
            positive.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import CircularECA
        >>> block = CircularECA(8, kernel_size=3)
        >>> x = torch.randn(2, 8, 7, 7)
        >>> block(x).shape
        torch.Size([2, 8, 7, 7])
        >>> shifted = block(x.roll(1, dims=1)).roll(-1, dims=1)  # no channel is an end
        >>> torch.allclose(block(x), shifted)
        True
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
        if kernel_size > 2 * channels + 1:
            raise ValueError(
                f"kernel_size must be at most 2 * channels + 1, got kernel_size={kernel_size}, channels={channels}"
            )
        self.conv = nn.Conv1d(1, 1, kernel_size, bias=False, **factory)

    def start_as_identity(self) -> None:
        """Zeroes the last layer, so that the gate starts at 0.5, and divides the gate by that."""
        zero(self.conv)
        self.start = 0.5

    def attention(self, x: Tensor) -> Tensor:
        """Computes the gate (B, C, 1, 1) of `x` (B, C, H, W)."""
        squeezed, ends = average(x, (2, 3)), self.conv.kernel_size[0] // 2
        ring = torch.cat([squeezed[:, x.shape[1] - ends :], squeezed, squeezed[:, :ends]], dim=1)
        return self.conv(ring[:, None]).sigmoid()[:, 0, :, None, None]
