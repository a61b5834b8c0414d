"""Shuffle attention, SA-Net (Zhang and Yang, ICASSP 2021), https://arxiv.org/abs/2102.00240."""

from math import gcd

import torch
from torch import Tensor, nn

from cv_attention.blocks.base import AttentionMap, Block, Device, Dtype, Factory, check_divisible, check_whole, zero
from cv_attention.blocks.functional.gating import over_start
from cv_attention.blocks.functional.half_precision import widened


class ShuffleAttention(Block):
    """Gates half of each channel group by channel, the other half by position, then shuffles the channels.

    Paper: Shuffle attention, SA-Net (Zhang and Yang, ICASSP 2021), https://arxiv.org/abs/2102.00240.

    With K = C / (2 G): the first K channels of a group are ``x * sigmoid(cweight * mean(x) + cbias)``, the other K are
    ``x * sigmoid(sweight * gn(x) + sbias)``, gn normalising each channel over its positions, with scale and shift. All
    groups share these parameters. Last, the channels' two halves interleave, so that groups talk to each other.

    Map: `joint`, (B, C, H, W), before the shuffle, values in (0, 1); 0.731 at the start (weights 0, biases 1).

    Args:
        channels: Channels C of the input, even.
        groups: Number of groups G; None takes the paper's 64, or its largest divisor that divides C / 2.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if `channels` or `groups` is not a positive integer, or 2 G does not divide `channels`.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import ShuffleAttention
        >>> block = ShuffleAttention(8, groups=2)
        >>> x = torch.arange(8.0).view(1, 8, 1, 1)
        >>> block(x).flatten() / torch.tensor(1.0).sigmoid()  # the two halves of the channels interleave
        tensor([0., 4., 1., 5., 2., 6., 3., 7.], grad_fn=<DivBackward0>)
        >>> block(torch.randn(2, 8, 14, 14)).shape
        torch.Size([2, 8, 14, 14])
    """

    start: float = 1.0  # as in `Gate`

    def __init__(self, channels: int, *, groups: int | None = None, device: Device = None, dtype: Dtype = None) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        check_whole(channels=channels)
        check_divisible(channels=channels, halves=2)
        groups = gcd(64, channels // 2) if groups is None else groups
        check_whole(groups=groups)
        if channels % (2 * groups):
            raise ValueError(f"channels must be divisible by 2 * groups, got channels={channels}, groups={groups}")
        self.groups = groups
        width = channels // (2 * groups)
        self.cweight = nn.Parameter(torch.zeros(width, **factory))
        self.cbias = nn.Parameter(torch.ones(width, **factory))
        self.sweight = nn.Parameter(torch.zeros(width, **factory))
        self.sbias = nn.Parameter(torch.ones(width, **factory))
        # Scale and shift of the norm.
        self.weight = nn.Parameter(torch.ones(width, **factory))
        self.bias = nn.Parameter(torch.zeros(width, **factory))
        self.eps = 1e-5
        self.map = AttentionMap("joint")

    def start_as_identity(self) -> None:
        """Zeroes the biases too, divides by the gate's 0.5, and leaves the channels in their order."""
        zero(self.cbias, self.sbias)
        self.start = 0.5

    def forward(self, x: Tensor) -> Tensor:
        """Reweights `x` (B, C, H, W); keeps shape and memory format."""
        slope, offset = self._lines(x)
        gate = self.map(torch.addcmul(offset[:, :, None, None], x, slope[:, :, None, None]).sigmoid())
        y = x * over_start(gate, self.start)
        if self.start != 1:  # what follows knows the channels in this order
            return y
        halves = y.unflatten(1, (2, -1)).transpose(1, 2)
        if x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous():
            return halves.permute(0, 3, 4, 1, 2).flatten(3).permute(0, 3, 1, 2)
        return halves.flatten(1, 2)

    def _lines(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Computes slope and offset (B, C) of the logits, which both gates have linear in their own channel.

        So the whole gate is one pass over `x`: the channel half has slope 0, the spatial half's norm is folded in.
        """
        variance, mean = (
            s.unflatten(1, (self.groups, 2, -1)) for s in torch.var_mean(widened(x), (2, 3), correction=0)
        )
        scale = (variance[:, :, 1] + self.eps).rsqrt() * (self.sweight * self.weight)
        shift = self.sweight * self.bias + self.sbias - mean[:, :, 1] * scale
        channel = self.cweight * mean[:, :, 0] + self.cbias
        slope = torch.stack([torch.zeros_like(scale), scale], 2)
        offset = torch.stack([channel, shift], 2)
        return slope.flatten(1).to(x.dtype), offset.flatten(1).to(x.dtype)
