"""Large-kernel attention, LKA of VAN (Guo et al., 2022), https://arxiv.org/abs/2202.09741."""

from torch import Tensor, nn

from cv_attention.blocks.base import Device, Dtype, Factory, Gate, check_whole, zero


class LargeKernelAttention(Gate):
    """Multiplies the input by a large-kernel convolution of itself: ``x * conv1(dilated(local(x)))``.

    Paper: Large-kernel attention, LKA of VAN (Guo et al., 2022), https://arxiv.org/abs/2202.09741.

    A K x K convolution is taken apart into a depth-wise one of side 2 d - 1, a depth-wise one of side
    ceil(K / d) with dilation d, and a 1 x 1 convolution; K = 21 and d = 3 give sides 5 and 7. There is no sigmoid.

    Map: `joint`, (B, C, H, W), any real values; around 0 at the start, with the initialisation of VAN.

    Args:
        channels: Channels C of the input.
        kernel_size: Side K of the large kernel; ceil(K / d) must be odd.
        dilation: Dilation d of the second convolution.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if an argument is not a positive integer, or ceil(kernel_size / dilation) is even.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import LargeKernelAttention
        >>> block = LargeKernelAttention(64)
        >>> block(torch.randn(2, 64, 14, 14)).shape
        torch.Size([2, 64, 14, 14])
        >>> block.local.kernel_size, block.dilated.kernel_size, block.dilated.dilation  # together 21 x 21
        ((5, 5), (7, 7), (3, 3))
    """

    kind = "joint"

    def __init__(
        self, channels: int, *, kernel_size: int = 21, dilation: int = 3, device: Device = None, dtype: Dtype = None
    ) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        check_whole(channels=channels, kernel_size=kernel_size, dilation=dilation)
        side = -(-kernel_size // dilation)
        if side % 2 == 0:
            given = f"kernel_size={kernel_size}, dilation={dilation}"
            raise ValueError(f"ceil(kernel_size / dilation) must be odd, got {given}, which is {side}")
        self.local = nn.Conv2d(channels, channels, 2 * dilation - 1, padding=dilation - 1, groups=channels, **factory)
        self.dilated = nn.Conv2d(
            channels, channels, side, padding=side // 2 * dilation, dilation=dilation, groups=channels, **factory
        )
        self.mix = nn.Conv2d(channels, channels, 1, **factory)
        for conv in (self.local, self.dilated, self.mix):
            fan_out = conv.kernel_size[0] ** 2 * channels // conv.groups
            nn.init.normal_(conv.weight, std=(2 / fan_out) ** 0.5)
            nn.init.zeros_(conv.bias)  # pyright: ignore[reportArgumentType]

    def start_as_identity(self) -> None:
        """Zeroes the last weights and sets their biases to one, so that the map starts at 1."""
        zero(self.mix)
        nn.init.ones_(self.mix.bias)  # pyright: ignore[reportArgumentType]

    def attention(self, x: Tensor) -> Tensor:
        """Computes the map (B, C, H, W) of `x` (B, C, H, W)."""
        return self.mix(self.dilated(self.local(x)))
