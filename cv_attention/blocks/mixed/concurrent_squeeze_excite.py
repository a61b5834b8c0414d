"""scSE: concurrent spatial and channel squeeze and excitation (Roy et al., 2018), https://arxiv.org/abs/1803.02579."""

from typing import Literal

import torch
from torch import Tensor, nn

from cv_attention.blocks.base import (
    AttentionMap,
    Block,
    Device,
    Dtype,
    Factory,
    balance,
    bottleneck,
    check_choice,
    zero,
)
from cv_attention.blocks.functional.gating import over_start
from cv_attention.blocks.functional.pooling import average


class ConcurrentSqueezeExcite(Block):
    """Joins a channel gate and a spatial gate that see the same input: ``x * c(x) + x * s(x)``.

    Paper: scSE: concurrent spatial and channel squeeze and excitation (Roy et al., 2018),
    https://arxiv.org/abs/1803.02579.

    ``c = sigmoid(W2 relu(W1 mean(x)))`` and ``s = sigmoid(conv1(x))``, a 1 x 1 convolution to one channel.

    Maps: `channel_map`, (B, C, 1, 1), and `spatial_map`, (B, 1, H, W), both in (0, 1), each about 0.5 at the start;
    together they scale by about 1 (``add``), 0.5 (``max``) or 0.25 (``multiply``).

    Args:
        channels: Channels C of the input.
        reduction: Bottleneck ratio r of the channel gate; the hidden width is max(C // r, 1).
        combine: What joins the two: ``add`` as in the paper of MICCAI 2018, ``max`` (the larger of the two results) as
            in the official code, ``multiply``; the extended paper of 2019 compares them.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if `channels` or `reduction` is not a positive integer or `combine` is none of these.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import ConcurrentSqueezeExcite
        >>> block = ConcurrentSqueezeExcite(64, combine="max")
        >>> block(torch.randn(2, 64, 14, 14)).shape
        torch.Size([2, 64, 14, 14])
        >>> block.squeeze  # of the spatial gate
        Conv2d(64, 1, kernel_size=(1, 1), stride=(1, 1))
    """

    start: float = 1.0  # as in `Gate`

    def __init__(
        self,
        channels: int,
        *,
        reduction: int = 2,
        combine: Literal["add", "max", "multiply"] = "add",
        device: Device = None,
        dtype: Dtype = None,
    ) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        hidden = bottleneck(channels, reduction)
        check_choice("combine", combine, ("add", "max", "multiply"))
        self.combine = combine
        self.reduce = nn.Linear(channels, hidden, **factory)
        self.expand = nn.Linear(hidden, channels, **factory)
        self.squeeze = nn.Conv2d(channels, 1, 1, **factory)
        self.channel_map = AttentionMap("channel")
        self.spatial_map = AttentionMap("spatial")

    def start_as_identity(self) -> None:
        """Lets the last layers give zero, so that both gates start at 0.5, and divides by what they join to."""
        balance(self.reduce, self.expand)
        zero(self.squeeze)
        self.start = 0.5

    def forward(self, x: Tensor) -> Tensor:
        """Reweights `x` (B, C, H, W); keeps shape and memory format."""
        hidden = self.reduce(average(x, (2, 3))).relu()
        channel = self.channel_map(self.expand(hidden).sigmoid()[:, :, None, None])
        spatial = self.spatial_map(self.squeeze(x).sigmoid())
        if self.combine == "add":  # 1 at an identity's start: together they round nothing
            return torch.addcmul(x * channel, x, spatial) if self.start == 1 else x * (channel + spatial)
        channel, spatial = over_start(channel, self.start), over_start(spatial, self.start)
        if self.combine == "max":
            return torch.maximum(x * channel, x * spatial)
        return x * channel * spatial
