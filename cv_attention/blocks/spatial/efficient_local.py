"""Efficient local attention, ELA (Xu and Wan, 2024), https://arxiv.org/abs/2403.01123."""

from math import gcd

from torch import Tensor, nn

from cv_attention.blocks.base import (
    STEEP,
    AttentionMap,
    Block,
    Device,
    Dtype,
    Factory,
    check_divisible,
    check_odd,
    check_whole,
    zero,
)
from cv_attention.blocks.functional.gating import gate_by_row_and_column, times
from cv_attention.blocks.functional.pooling import average


class EfficientLocalAttention(Block):
    """Reweights rows and columns from their averages: ``x * sigmoid(gn(conv(mean_W x))) * sigmoid(gn(conv(mean_H x)))``.

    Paper: Efficient local attention, ELA (Xu and Wan, 2024), https://arxiv.org/abs/2403.01123.

    The paper's variants: ELA-B is the default, ELA-T has `kernel_size` 5 and `norm_groups` 32, ELA-S has `kernel_size`
    5 and `conv_groups` C / 8, ELA-L `conv_groups` C / 8.

    Map: `joint`, (B, C, H, W), the product of the two gates, values in (0, 1); about 0.25 at the start;
    written when observed only.

    Args:
        channels: Channels C of the input.
        kernel_size: Length of the convolutions along rows and columns, odd.
        conv_groups: Groups of the convolutions; None makes them depth-wise.
        norm_groups: Groups of the group norms; None takes 16, or the largest divisor of 16 that divides `channels`.
        shared: Whether rows and columns share convolution and norm, as in the paper's code; its equations
            write two convolutions.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if `channels` is not a positive integer, `kernel_size` even, or a number of groups does not
            divide `channels`.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import EfficientLocalAttention
        >>> block = EfficientLocalAttention(64, kernel_size=5, norm_groups=32)  # ELA-T
        >>> block(torch.randn(2, 64, 14, 14)).shape
        torch.Size([2, 64, 14, 14])
        >>> block.strips[0][0]  # for rows and columns
        Conv2d(64, 64, kernel_size=(5, 1), stride=(1, 1), padding=(2, 0), groups=64, bias=False)
    """  # noqa: E501

    start: float = 1.0  # as in `Gate`
    gain: float = 1.0  # what multiplies the last norm; `STEEP` where its scale starts at zero

    def __init__(
        self,
        channels: int,
        *,
        kernel_size: int = 7,
        conv_groups: int | None = None,
        norm_groups: int | None = None,
        shared: bool = True,
        device: Device = None,
        dtype: Dtype = None,
    ) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        check_whole(channels=channels)
        check_odd(kernel_size=kernel_size)
        conv_groups = channels if conv_groups is None else conv_groups
        norm_groups = gcd(16, channels) if norm_groups is None else norm_groups
        check_divisible(channels=channels, conv_groups=conv_groups)
        check_divisible(channels=channels, norm_groups=norm_groups)
        pad = kernel_size // 2
        strips = [
            nn.Sequential(
                nn.Conv2d(
                    channels, channels, (kernel_size, 1), padding=(pad, 0), groups=conv_groups, bias=False, **factory
                ),
                nn.GroupNorm(norm_groups, channels, **factory),
            )
            for _ in range(1 if shared else 2)
        ]
        self.strips = nn.ModuleList(strips)
        self.map = AttentionMap("joint")

    def start_as_identity(self) -> None:
        """Zeroes the norms, so that both gates start at 0.5, and divides the gates by that."""
        for strip in self.strips:
            zero(strip[1])  # pyright: ignore[reportIndexIssue]
        self.start, self.gain = 0.5, STEEP

    def forward(self, x: Tensor) -> Tensor:
        """Reweights `x` (B, C, H, W); keeps shape and memory format."""
        rows = times(self.strips[0](average(x, 3, keepdim=True)), self.gain).sigmoid()
        columns = times(self.strips[-1](average(x, 2, keepdim=True).transpose(2, 3)), self.gain).sigmoid()
        observe = self.map if self.map.observed else None
        return gate_by_row_and_column(x, rows, columns.transpose(2, 3), start=self.start, observe=observe)
