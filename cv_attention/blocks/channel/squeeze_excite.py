"""Squeeze-and-Excitation (Hu et al., CVPR 2018), https://arxiv.org/abs/1709.01507."""

from torch import Tensor, nn

from cv_attention.blocks.base import Device, Dtype, Factory, Gate, balance, bottleneck, check_whole
from cv_attention.blocks.functional.pooling import average


class SqueezeExcite(Gate):
    """Reweights channels from their global averages: ``x * sigmoid(W2 relu(W1 mean(x)))``.

    Paper: Squeeze-and-Excitation (Hu et al., CVPR 2018), https://arxiv.org/abs/1709.01507.

    Map: `channel`, (B, C, 1, 1), values in (0, 1); 0.5 at zero weights.

    The paper writes no biases, its official Caffe models have them: `bias` chooses, and is on as there.

    Args:
        channels: Channels C of the input.
        reduction: Bottleneck ratio r (section 3.2); the hidden width is max(C // r, 1).
        bias: Whether the two linear maps have biases.
        divisor: Rounds the hidden width C / r to the nearest multiple of this, and at least to this, as timm
            does with 8; None does not round.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if `channels`, `reduction` or `divisor` is not a positive integer.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from cv_attention.blocks import SqueezeExcite
        >>> gate = SqueezeExcite(64, reduction=8)
        >>> stage = nn.Sequential(nn.Conv2d(3, 64, 3, stride=2, padding=1), nn.BatchNorm2d(64), gate, nn.ReLU())
        >>> stage(torch.randn(2, 3, 32, 32)).shape
        torch.Size([2, 64, 16, 16])
        >>> gate.reduce  # 64 // 8 hidden numbers
        Linear(in_features=64, out_features=8, bias=True)
    """

    kind = "channel"

    def __init__(
        self,
        channels: int,
        *,
        reduction: int = 16,
        bias: bool = True,
        divisor: int | None = None,
        device: Device = None,
        dtype: Dtype = None,
    ) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        hidden = bottleneck(channels, reduction)
        if divisor is not None:
            check_whole(divisor=divisor)
            hidden = max(int(channels / reduction + divisor / 2) // divisor * divisor, divisor)
        self.reduce = nn.Linear(channels, hidden, bias=bias, **factory)
        self.expand = nn.Linear(hidden, channels, bias=bias, **factory)

    def start_as_identity(self) -> None:
        """Balances the two layers, so that the gate starts at 0.5, and divides the gate by that."""
        balance(self.reduce, self.expand)
        self.start = 0.5

    def attention(self, x: Tensor) -> Tensor:
        """Computes the gate (B, C, 1, 1) of `x` (B, C, H, W)."""
        hidden = self.reduce(average(x, (2, 3))).relu()
        return self.expand(hidden).sigmoid()[:, :, None, None]
