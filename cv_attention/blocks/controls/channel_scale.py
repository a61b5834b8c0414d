"""The control of dependence on the input: one learned factor per channel."""

import torch
from torch import Tensor, nn

from cv_attention.blocks.base import Block, Device, Dtype, check_whole


class ChannelScale(Block):
    """Multiplies each channel by a learned number, the same for all images: is a gate more than a scale?

    The numbers start at 1, so that it starts as the identity.

    Args:
        channels: Channels C of the input.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if `channels` is not a positive integer.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks.controls import ChannelScale
        >>> scale = ChannelScale(2)
        >>> _ = scale.weight.data.copy_(torch.tensor([2.0, 0.5]))
        >>> scale(torch.ones(1, 2, 1, 1)).flatten()
        tensor([2.0000, 0.5000], grad_fn=<ViewBackward0>)
    """

    def __init__(self, channels: int, *, device: Device = None, dtype: Dtype = None) -> None:
        super().__init__()
        check_whole(channels=channels)
        self.weight = nn.Parameter(torch.ones(channels, device=device, dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:
        """Scales `x` (B, C, H, W); keeps the shape."""
        return x * self.weight.to(x.dtype)[:, None, None]
