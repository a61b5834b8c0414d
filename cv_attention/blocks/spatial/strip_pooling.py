"""Strip pooling (Hou et al., CVPR 2020), https://arxiv.org/abs/2003.13328."""

from torch import Tensor, nn

from cv_attention.blocks.base import Device, Dtype, Factory, Gate, check_odd, check_whole, zero
from cv_attention.blocks.functional.pooling import average


class StripPooling(Gate):
    """Reweights everything from averages of whole rows and columns: ``x * sigmoid(conv1(relu(v + h)))``.

    Paper: Strip pooling (Hou et al., CVPR 2020), https://arxiv.org/abs/2003.13328.

    ``v = norm(conv(mean_W x))``, (B, C, H, 1), runs down the rows' averages and ``h = norm(conv(mean_H x))``,
    (B, C, 1, W), along the columns'; their sum is broadcast to H x W. Batch norms and relu are not in the
    paper's equations, but in the official code of its backbone, whose biases before batch norms are left out here.

    Map: `joint`, (B, C, H, W), values in (0, 1); about 0.5 at the start.

    Args:
        channels: Channels C of the input.
        kernel_size: Length of the two convolutions along the strips, odd.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if `channels` is not a positive integer or `kernel_size` is even.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import StripPooling
        >>> block = StripPooling(64, kernel_size=5)
        >>> block(torch.randn(2, 64, 14, 14)).shape
        torch.Size([2, 64, 14, 14])
        >>> block.vertical.kernel_size, block.horizontal.kernel_size
        ((5, 1), (1, 5))
    """

    kind = "joint"

    def __init__(self, channels: int, *, kernel_size: int = 3, device: Device = None, dtype: Dtype = None) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        check_whole(channels=channels)
        check_odd(kernel_size=kernel_size)
        k, pad = kernel_size, kernel_size // 2
        self.vertical = nn.Conv2d(channels, channels, (k, 1), padding=(pad, 0), bias=False, **factory)
        self.vertical_norm = nn.BatchNorm2d(channels, **factory)
        self.horizontal = nn.Conv2d(channels, channels, (1, k), padding=(0, pad), bias=False, **factory)
        self.horizontal_norm = nn.BatchNorm2d(channels, **factory)
        self.fuse = nn.Conv2d(channels, channels, 1, **factory)
        for conv in (self.vertical, self.horizontal, self.fuse):
            nn.init.kaiming_normal_(conv.weight, mode="fan_out")

    def start_as_identity(self) -> None:
        """Zeroes the last layer, so that the gate starts at 0.5, and divides the gate by that."""
        zero(self.fuse)
        self.start = 0.5

    def attention(self, x: Tensor) -> Tensor:
        """Computes the gate (B, C, H, W) of `x` (B, C, H, W)."""
        rows = self.vertical_norm(self.vertical(average(x, 3, keepdim=True)))
        columns = self.horizontal_norm(self.horizontal(average(x, 2, keepdim=True)))
        return self.fuse((rows + columns).relu()).sigmoid()
