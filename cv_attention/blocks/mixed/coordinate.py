"""Coordinate attention (Hou et al., CVPR 2021), https://arxiv.org/abs/2103.02907."""

import torch
from torch import Tensor, nn
from torch.nn.functional import hardswish

from cv_attention.blocks.base import AttentionMap, Block, Device, Dtype, Factory, bottleneck, check_whole, zero
from cv_attention.blocks.functional.gating import gate_by_row_and_column
from cv_attention.blocks.functional.pooling import average


class CoordinateAttention(Block):
    """Reweights channels by row and by column: ``x * sigmoid(conv_h(f_h)) * sigmoid(conv_w(f_w))``.

    Paper: Coordinate attention (Hou et al., CVPR 2021), https://arxiv.org/abs/2103.02907.

    f, (B, hidden, H + W, 1), is ``hswish(norm(conv1([mean_W x, mean_H x])))``, the averages of rows and of columns in
    one sequence; f_h and f_w are its two parts, of H and of W positions. All convolutions are 1 x 1.

    Map: `joint`, (B, C, H, W), the product of the two gates, values in (0, 1); about 0.25 at the
    start. It is written when observed only.

    Args:
        channels: Channels C of the input.
        reduction: Bottleneck ratio r; the hidden width is max(C // r, min_width).
        min_width: Smallest hidden width, 8 in the official code.
        bias: Whether the convolutions to the two gates have biases, as in the official code; that of the first one,
            which a batch norm follows, is left out.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if a number is not a positive integer.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import CoordinateAttention
        >>> block = CoordinateAttention(64, reduction=8)
        >>> block(torch.randn(2, 64, 14, 10)).shape
        torch.Size([2, 64, 14, 10])
        >>> block.reduce  # 64 // 8 hidden channels; the default 32 gives the smallest width, 8, as well
        Conv2d(64, 8, kernel_size=(1, 1), stride=(1, 1), bias=False)
    """

    start: float = 1.0  # as in `Gate`

    def __init__(
        self,
        channels: int,
        *,
        reduction: int = 32,
        min_width: int = 8,
        bias: bool = True,
        device: Device = None,
        dtype: Dtype = None,
    ) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        check_whole(channels=channels, reduction=reduction, min_width=min_width)
        hidden = bottleneck(channels, reduction, minimum=min_width)
        self.reduce = nn.Conv2d(channels, hidden, 1, bias=False, **factory)
        self.norm = nn.BatchNorm2d(hidden, **factory)
        self.conv_h = nn.Conv2d(hidden, channels, 1, bias=bias, **factory)
        self.conv_w = nn.Conv2d(hidden, channels, 1, bias=bias, **factory)
        self.map = AttentionMap("joint")

    def start_as_identity(self) -> None:
        """Zeroes the last layers, so that both gates start at 0.5, and divides the gates by that."""
        zero(self.conv_h, self.conv_w)
        self.start = 0.5

    def forward(self, x: Tensor) -> Tensor:
        """Reweights `x` (B, C, H, W); keeps shape and memory format."""
        # Four axes all the way: so the gates, and their product, have the memory format of x.
        strips = torch.cat([average(x, 3, keepdim=True), average(x, 2, keepdim=True).transpose(2, 3)], 2)
        hidden = hardswish(self.norm(self.reduce(strips)))
        rows, columns = hidden.split([x.shape[2], x.shape[3]], 2)
        rows, columns = self.conv_h(rows).sigmoid(), self.conv_w(columns).sigmoid().transpose(2, 3)
        observe = self.map if self.map.observed else None
        return gate_by_row_and_column(x, rows, columns, start=self.start, observe=observe)
