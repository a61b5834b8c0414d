"""BAM: bottleneck attention module (Park et al., BMVC 2018), https://arxiv.org/abs/1807.06514."""

from typing import Literal

import torch
from torch import Tensor, nn

from cv_attention.blocks.base import (
    STEEP,
    AttentionMap,
    Block,
    Device,
    Dtype,
    Factory,
    bottleneck,
    check_choice,
    check_whole,
    zero,
)
from cv_attention.blocks.batch_statistics import check_batch_statistics
from cv_attention.blocks.functional.gating import times
from cv_attention.blocks.functional.pooling import average


class BAM(Block):
    """Enhances the input by a channel and a spatial branch at once: ``x + x * sigmoid(c(x) + s(x))``.

    Paper: BAM: bottleneck attention module (Park et al., BMVC 2018), https://arxiv.org/abs/1807.06514.

    c is a two-layer MLP of the global averages, (B, C); s is a 1 x 1 convolution to C / r channels, two dilated 3 x 3
    ones and a 1 x 1 one to a single channel, (B, 1, H, W); relu between all. The official code differs twice, see
    `combine` and `norm`; the defaults are the paper's.

    Map: `joint`, (B, C, H, W), ``sigmoid(c + s)``, values in (0, 1); about 0.5 at the start, which enhances by 1.5.

    Args:
        channels: Channels C of the input.
        reduction: Bottleneck ratio r; the hidden width is max(C // r, 1).
        dilation: Dilation d of the 3 x 3 convolutions.
        combine: What joins c and s: ``add`` as in equation 2, or ``multiply`` as in the official code.
        norm: Where the batch norms are: at the ``output`` of both branches, as in equations 3 and 4, or after each
            ``hidden`` layer, as in the official code.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if a number is not a positive integer, `combine` or `norm` is none of these, or in training on
            a batch of one, of whose averages there are no batch statistics.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import BAM
        >>> block = BAM(64, reduction=16, dilation=4)
        >>> block(torch.randn(2, 64, 14, 14)).shape
        torch.Size([2, 64, 14, 14])
        >>> BAM(64, combine="multiply", norm="hidden").combine  # as in the official code
        'multiply'
    """

    start: float = 1.0  # as in `Gate`
    gain: float = 1.0  # what multiplies the last norm; `STEEP` where its scale starts at zero

    def __init__(
        self,
        channels: int,
        *,
        reduction: int = 16,
        dilation: int = 4,
        combine: Literal["add", "multiply"] = "add",
        norm: Literal["output", "hidden"] = "output",
        device: Device = None,
        dtype: Dtype = None,
    ) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        hidden = bottleneck(channels, reduction)
        check_whole(dilation=dilation)
        check_choice("combine", combine, ("add", "multiply"))
        check_choice("norm", norm, ("output", "hidden"))
        self.combine = combine
        inside = norm == "hidden"

        def layer(linear: nn.Module, norm: nn.Module | None) -> list[nn.Module]:
            return [linear, norm, nn.ReLU()] if norm is not None else [linear, nn.ReLU()]

        def dilated() -> nn.Module:
            return nn.Conv2d(hidden, hidden, 3, padding=dilation, dilation=dilation, **factory)

        self.channel = nn.Sequential(
            *layer(nn.Linear(channels, hidden, **factory), nn.BatchNorm1d(hidden, **factory) if inside else None),
            nn.Linear(hidden, channels, **factory),
            *([] if inside else [nn.BatchNorm1d(channels, **factory)]),
        )
        convolutions = (nn.Conv2d(channels, hidden, 1, **factory), dilated(), dilated())
        self.spatial = nn.Sequential(
            *(
                part
                for conv in convolutions
                for part in layer(conv, nn.BatchNorm2d(hidden, **factory) if inside else None)
            ),
            nn.Conv2d(hidden, 1, 1, **factory),
            *([] if inside else [nn.BatchNorm2d(1, **factory)]),
        )
        self.map = AttentionMap("joint")

    def start_as_identity(self) -> None:
        """Zeroes the last layers, so that the block starts as 1.5 x, and divides by that."""
        zero(self.spatial[-1])
        if self.combine == "add":  # of a product of two zeros, neither would get a gradient
            zero(self.channel[-1])
        self.start, self.gain = 1.5, STEEP if isinstance(self.spatial[-1], nn.BatchNorm2d) else 1.0

    def forward(self, x: Tensor) -> Tensor:
        """Enhances `x` (B, C, H, W); keeps shape and memory format."""
        pooled = average(x, (2, 3))
        check_batch_statistics(self, pooled)
        channel, spatial = self.channel(pooled)[:, :, None, None], self.spatial(x)
        logits = channel + spatial if self.combine == "add" else channel * spatial
        gate = self.map(times(logits, self.gain).sigmoid())
        return torch.addcmul(x, x, gate) if self.start == 1 else x * ((1 + gate) / self.start)
