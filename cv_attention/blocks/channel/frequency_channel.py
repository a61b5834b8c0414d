"""Frequency channel attention, FcaNet (Qin et al., ICCV 2021), https://arxiv.org/abs/2012.11879."""

from math import pi, sqrt
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from cv_attention.blocks.base import Device, Dtype, Factory, Gate, bottleneck, check_choice, zero
from cv_attention.blocks.functional.half_precision import run_wide, without_autocast
from cv_attention.blocks.functional.layout import laid_out_as

Frequencies = Literal[
    "top1", "top2", "top4", "top8", "top16", "top32",
    "low1", "low2", "low4", "low8", "low16", "low32",
    "bot1", "bot2", "bot4", "bot8", "bot16", "bot32",
]  # fmt: skip

# Frequencies (vertical, horizontal) on the 7 x 7 grid in the authors' order: best first and worst first, as each
# did alone on ImageNet, and lowest first.
_RANKED = {
    "top": "00 01 60 05 02 10 12 40 50 16 30 04 06 03 35 22 46 63 33 53 55 21 61 52 54 32 31 41 23 20 65 13",
    "low": "00 01 10 11 02 20 21 12 22 03 30 40 04 13 31 05 14 23 32 41 50 06 15 24 33 42 51 60 16 25 34 43",
    "bot": "66 14 34 36 26 43 11 24 44 45 56 15 42 62 25 51 64 13 65 20 23 41 31 32 54 52 61 21 55 53 33 63",
}


class FrequencyChannelAttention(Gate):
    """Reweights channels from DCT coefficients: ``x * sigmoid(W2 relu(W1 sum_hw(x B)))``.

    Paper: Frequency channel attention, FcaNet (Qin et al., ICCV 2021), https://arxiv.org/abs/2012.11879.

    The channels are split into as many groups as there are frequencies; all of a group are squeezed by the
    group's basis function B, an orthonormal two-dimensional DCT. Frequency 0 alone is, but for a factor, SE.

    The basis fits itself to the feature map: a frequency u of the 7 x 7 grid is round(u H / 7) of H rows, at
    most H - 1. Where 7 divides H and W, as in the paper's backbones, that is the official code's; there, other
    sizes are pooled to a fixed one first.

    Map: `channel`, (B, C, 1, 1), values in (0, 1); about 0.5 at the start.

    Args:
        channels: Channels C of the input. Where the number of frequencies does not divide them, groups
            differ by one channel; fewer channels use frequencies at even distances in the list.
        frequencies: Which, and how many: ``top``, ``low`` or ``bot`` with 1, 2, 4, 8, 16 or 32.
        reduction: Bottleneck ratio r; the hidden width is max(C // r, 1). The layers have no biases.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if `channels` or `reduction` is not a positive integer or `frequencies` unknown.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import FrequencyChannelAttention
        >>> block = FrequencyChannelAttention(64, frequencies="low4")
        >>> block(torch.randn(2, 64, 14, 14)).shape
        torch.Size([2, 64, 14, 14])
        >>> block.vertical[::16].tolist(), block.horizontal[::16].tolist()  # a frequency for each 16 channels
        ([0, 0, 1, 1], [0, 1, 0, 1])
    """

    kind = "channel"

    def __init__(
        self,
        channels: int,
        *,
        frequencies: Frequencies = "top16",
        reduction: int = 16,
        device: Device = None,
        dtype: Dtype = None,
    ) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        hidden = bottleneck(channels, reduction)
        check_choice("frequencies", frequencies, get_args(Frequencies))
        self.frequencies = frequencies
        listed = _RANKED[frequencies[:3]].split()[: int(frequencies[3:])]
        groups = [listed[c * len(listed) // channels] for c in range(channels)]
        self.vertical: Tensor
        self.horizontal: Tensor
        self.register_buffer("vertical", torch.tensor([int(u) for u, _ in groups], device=device), persistent=False)
        self.register_buffer("horizontal", torch.tensor([int(v) for _, v in groups], device=device), persistent=False)
        self.reduce = nn.Linear(channels, hidden, bias=False, **factory)
        self.expand = nn.Linear(hidden, channels, bias=False, **factory)

    def start_as_identity(self) -> None:
        """Zeroes the last layer, so that the gate starts at 0.5, and divides the gate by that."""
        zero(self.expand)
        self.start = 0.5

    def attention(self, x: Tensor) -> Tensor:
        """Computes the gate (B, C, 1, 1) of `x` (B, C, H, W)."""
        basis = self._basis(x)
        squeezed = (x * basis).sum((2, 3), dtype=torch.promote_types(x.dtype, torch.float32))
        with without_autocast(x):
            gate = run_wide(self.expand, run_wide(self.reduce, squeezed).relu()).sigmoid()
        return gate.to(x.dtype)[:, :, None, None]

    def _basis(self, x: Tensor) -> Tensor:
        """Returns every channel's basis function (1, C, H, W), laid out in memory as `x`."""
        dtype = torch.promote_types(x.dtype, torch.float32)
        rows = _cosines(self.vertical, x.shape[2], dtype)[:, :, None]
        basis = (rows * _cosines(self.horizontal, x.shape[3], dtype)[:, None, :])[None].to(x.dtype)
        return laid_out_as(basis, x)


def _cosines(frequencies: Tensor, length: int, dtype: torch.dtype) -> Tensor:
    """Returns (frequencies, length): orthonormal cosines for frequencies of the 7 x 7 grid."""
    # Rounded to the nearest; there are no ties, because 7 is odd.
    u = ((2 * length * frequencies + 7) // 14).clamp(max=length - 1)[:, None]
    phase = (torch.arange(length, device=u.device, dtype=dtype) + 0.5) * (pi / length)
    return torch.cos(u * phase) * torch.where(u == 0, sqrt(1 / length), sqrt(2 / length))
