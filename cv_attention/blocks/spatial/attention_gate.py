"""The grid attention gate of Attention U-Net (Oktay et al., MIDL 2018), https://arxiv.org/abs/1804.03999."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cv_attention.blocks.base import AttentionMap, Block, Device, Dtype, Factory, bottleneck, check_whole, zero
from cv_attention.blocks.functional.gating import over_start
from cv_attention.blocks.functional.pooling import average


class AttentionGate(Block):
    """Reweights positions by how they meet a coarser signal: ``x * up(sigmoid(psi(relu(theta(x) + phi(g)))))``.

    Paper: The grid attention gate of Attention U-Net (Oktay et al., MIDL 2018), https://arxiv.org/abs/1804.03999.

    theta looks at patches of the input (a strided convolution without bias), phi and psi are 1 x 1 convolutions, `up`
    is bilinear. In a U-Net, g comes from the next coarser scale. Here the block gates itself: g is the mean of x over
    all positions, or over windows (`gating_stride`). Sizes that the strides do not divide repeat their border.

    Map: `spatial`, (B, 1, H, W), values in (0, 1); around 0.5 at the start.

    Args:
        channels: Channels C of the input.
        inter_channels: Channels in which x and g meet; None takes C // 2, at least 1.
        sub_sample_factor: Side and stride of theta; the map is computed on this coarser grid.
        gating_stride: Side of the windows whose means are the gating signal g, in positions of x; None takes the mean
            over all of them. Useful values are larger than `sub_sample_factor`, whose patches theta sees anyway.
        project: Whether a 1 x 1 convolution and batch norm follow, which are in the official code only.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if a number is not a positive integer.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import AttentionGate
        >>> block = AttentionGate(64, gating_stride=7)  # a gating signal for each 7 x 7 positions
        >>> block(torch.randn(2, 64, 14, 14)).shape
        torch.Size([2, 64, 14, 14])
        >>> block.theta
        Conv2d(64, 32, kernel_size=(2, 2), stride=(2, 2), bias=False)
    """

    start: float = 1.0  # as in `Gate`

    def __init__(
        self,
        channels: int,
        *,
        inter_channels: int | None = None,
        sub_sample_factor: int = 2,
        gating_stride: int | None = None,
        project: bool = False,
        device: Device = None,
        dtype: Dtype = None,
    ) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        inter = bottleneck(channels, 2) if inter_channels is None else inter_channels
        check_whole(inter_channels=inter, sub_sample_factor=sub_sample_factor)
        if gating_stride is not None:
            check_whole(gating_stride=gating_stride)
        self.factor = sub_sample_factor
        self.gating_stride = gating_stride
        self.theta = nn.Conv2d(channels, inter, sub_sample_factor, stride=sub_sample_factor, bias=False, **factory)
        self.phi = nn.Conv2d(channels, inter, 1, **factory)
        self.psi = nn.Conv2d(inter, 1, 1, **factory)
        self.map = AttentionMap("spatial")
        self.project = (
            nn.Sequential(nn.Conv2d(channels, channels, 1, **factory), nn.BatchNorm2d(channels, **factory))
            if project
            else None
        )
        for conv in (self.theta, self.phi, self.psi, *(self.project or ())):
            if isinstance(conv, nn.Conv2d):
                nn.init.kaiming_normal_(conv.weight)

    def start_as_identity(self) -> None:
        """Zeroes the gate's last layer and divides by the 0.5 of its start; or with `project`, zeroes its norm."""
        if self.project is not None:
            zero(self.project[1])
            return
        zero(self.psi)
        self.start = 0.5

    def forward(self, x: Tensor) -> Tensor:
        """Reweights `x` (B, C, H, W); keeps shape and memory format."""
        y = x * over_start(self.map(self._attention(x)), self.start)
        return y if self.project is None else self.project(y)

    def _attention(self, x: Tensor) -> Tensor:
        """Computes the gate (B, 1, H, W) of `x` (B, C, H, W)."""
        local = self.theta(_pad(x, self.factor))
        gate = self.psi((local + self._gating(x, local)).relu()).sigmoid()
        size = [side * self.factor for side in local.shape[2:]]
        if self.start == 1:
            gate = F.interpolate(gate, size=size, mode="bilinear", align_corners=False)
        else:  # of a constant, the interpolation rounds all but zeros
            gate = F.interpolate(gate - self.start, size=size, mode="bilinear", align_corners=False) + self.start
        return gate[:, :, : x.shape[2], : x.shape[3]]

    def _gating(self, x: Tensor, local: Tensor) -> Tensor:
        """Computes phi(g), of one position or on the grid of `local`."""
        if self.gating_stride is None:
            return self.phi(average(x, (2, 3), keepdim=True))
        coarse = self.phi(F.avg_pool2d(_pad(x, self.gating_stride), self.gating_stride))
        return F.interpolate(coarse, size=local.shape[2:], mode="bilinear", align_corners=False)


def _pad(x: Tensor, multiple: int) -> Tensor:
    """Repeats the last row and column of `x` up to sizes that `multiple` divides."""
    bottom, right = -x.shape[2] % multiple, -x.shape[3] % multiple
    # Not `F.pad`: inductor has a wrong layout for the gradient of its replicating mode (torch 2.15).
    if bottom:
        x = torch.cat([x, x[:, :, -1:].expand(-1, -1, bottom, -1)], dim=2)
    if right:
        x = torch.cat([x, x[..., -1:].expand(-1, -1, -1, right)], dim=3)
    return x
