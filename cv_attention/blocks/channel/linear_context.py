"""Linear context transform, LCT (Ruan et al., AAAI 2020), https://arxiv.org/abs/1909.03834."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cv_attention.blocks.base import Device, Dtype, Factory, Gate, check_divisible, check_positive, check_whole, zero
from cv_attention.blocks.functional.pooling import average


class LinearContextTransform(Gate):
    """Gates every channel by its own normalised average: ``x * sigmoid(w n + b)``.

    Paper: Linear context transform, LCT (Ruan et al., AAAI 2020), https://arxiv.org/abs/1909.03834.

    n are the channels' averages, normalised to mean 0 and variance 1 within groups of channels. `w` starts
    at 0 and `b` at 1.

    Map: `channel`, (B, C, 1, 1), values in (0, 1); 0.731 at the start.

    Args:
        channels: Channels C of the input.
        groups: Groups of neighbouring channels. None takes 64 as for the paper's ResNet-50, or where that
            leaves fewer than the 4 channels per group of its first stage, or does not divide C, the next
            smaller number that does.
        eps: Added to the variance.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if `channels` or `groups` is not a positive integer, `channels` is not divisible by
            `groups`, or `eps` is not positive.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import LinearContextTransform
        >>> block = LinearContextTransform(64, groups=8)
        >>> block(torch.randn(2, 64, 14, 14)).shape
        torch.Size([2, 64, 14, 14])
        >>> block(torch.ones(1, 64, 1, 1)).unique()  # sigmoid(1), as the weights start at 0 and the biases at 1
        tensor([0.7311], grad_fn=<Unique2Backward0>)
    """

    kind = "channel"

    def __init__(
        self, channels: int, *, groups: int | None = None, eps: float = 1e-5, device: Device = None, dtype: Dtype = None
    ) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        check_whole(channels=channels)
        check_positive(eps=eps)
        if groups is None:
            most = max(min(64, channels // 4), 1)
            groups = next(number for number in range(most, 0, -1) if channels % number == 0)
        check_divisible(channels=channels, groups=groups)
        self.groups, self.eps = groups, eps
        self.weight = nn.Parameter(torch.zeros(channels, **factory))
        self.bias = nn.Parameter(torch.ones(channels, **factory))

    def start_as_identity(self) -> None:
        """Zeroes the bias too, so that the gate starts at 0.5, and divides the gate by that."""
        zero(self.bias)
        self.start = 0.5

    def attention(self, x: Tensor) -> Tensor:
        """Computes the gate (B, C, 1, 1) of `x` (B, C, H, W)."""
        context = average(x, (2, 3)).unflatten(1, (self.groups, -1))
        normalised = F.layer_norm(context, context.shape[2:], eps=self.eps).flatten(1)
        return torch.addcmul(self.bias, self.weight, normalised).sigmoid().to(x.dtype)[:, :, None, None]
