"""The spatial gate of CBAM (Woo et al., ECCV 2018), https://arxiv.org/abs/1807.06521."""

import torch
from torch import Tensor, nn

from cv_attention.blocks.base import Device, Dtype, Factory, Gate, check_odd, check_whole, zero
from cv_attention.blocks.functional.pooling import channel_max, channel_mean


class CBAMSpatial(Gate):
    """Reweights positions from maximum and mean: ``x * sigmoid(norm(conv([max_c x, mean_c x])))``.

    Paper: The spatial gate of CBAM (Woo et al., ECCV 2018), https://arxiv.org/abs/1807.06521.

    Map: `spatial`, (B, 1, H, W), values in (0, 1); 0.5 at the start.

    The batch norm is not in the paper's equation 3 but in the official code, where its scale starts at zero
    and its momentum is 0.01.

    Args:
        channels: Channels C of the input; the gate's weights do not depend on them.
        kernel_size: Side of the square convolution, odd.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if `channels` is not a positive integer or `kernel_size` is even.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import CBAMSpatial
        >>> block = CBAMSpatial(64, kernel_size=5)
        >>> x = torch.randn(2, 64, 14, 14)
        >>> torch.equal(block(x), x / 2)  # its gate starts at 0.5
        True
        >>> block.attention(x).shape
        torch.Size([2, 1, 14, 14])
    """

    kind = "spatial"

    def __init__(self, channels: int, *, kernel_size: int = 7, device: Device = None, dtype: Dtype = None) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        check_whole(channels=channels)
        check_odd(kernel_size=kernel_size)
        self.conv = nn.Conv2d(2, 1, kernel_size, padding=kernel_size // 2, bias=False, **factory)
        self.norm = nn.BatchNorm2d(1, momentum=0.01, **factory)
        nn.init.zeros_(self.norm.weight)

    def start_as_identity(self) -> None:
        """Divides the gate by 0.5, at which it starts: the norm's scale is zero already."""
        zero(self.norm)
        self.start = 0.5

    def attention(self, x: Tensor) -> Tensor:
        """Computes the gate (B, 1, H, W) of `x` (B, C, H, W)."""
        statistics = torch.cat([channel_max(x), channel_mean(x)], dim=1)
        return self.norm(self.conv(statistics)).sigmoid()
