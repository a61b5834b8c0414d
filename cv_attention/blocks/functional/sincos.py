"""Position encodings of a feature map of any size."""

import torch
from torch import Tensor
from torch.nn import functional as F


def sincos_2d(channels: int, height: int, width: int, *, device: torch.device | None = None) -> Tensor:
    """Encodes rows and columns by sines and cosines, as ViT's later baselines do.

    With d = channels // 4 and frequencies w_i = 10000^(-i / d), the channels are, in this order, sin(row w),
    cos(row w), sin(column w), cos(column w); up to three channels that are left over are zero.

    Papers: Chen et al. 2021, https://arxiv.org/abs/2104.02057; Beyer et al. 2022, https://arxiv.org/abs/2205.01580.

    Args:
        channels: Number of channels, at least 4 for any encoding.
        height: Rows H.
        width: Columns W.
        device: Device of the result; None takes torch's default.

    Returns:
        (height, width, channels), float32, values in [-1, 1].

    Examples:
        >>> from cv_attention.blocks import functional
        >>> functional.sincos_2d(64, 14, 14).shape
        torch.Size([14, 14, 64])
        >>> functional.sincos_2d(4, 2, 1)[:, 0]  # sine and cosine of the row, then of the column
        tensor([[0.0000, 1.0000, 0.0000, 1.0000],
                [0.8415, 0.5403, 0.0000, 1.0000]])
    """
    quarter = channels // 4
    frequency = 10000.0 ** (-torch.arange(quarter, device=device, dtype=torch.float32) / max(quarter, 1))
    row = torch.arange(height, device=device, dtype=torch.float32)[:, None] * frequency
    column = torch.arange(width, device=device, dtype=torch.float32)[:, None] * frequency
    by_row = torch.cat([row.sin(), row.cos()], dim=1)[:, None].expand(height, width, 2 * quarter)
    by_column = torch.cat([column.sin(), column.cos()], dim=1)[None].expand(height, width, 2 * quarter)
    return F.pad(torch.cat([by_row, by_column], dim=2), (0, channels - 4 * quarter))
