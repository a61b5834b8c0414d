"""Style-based recalibration module, SRM (Lee et al., ICCV 2019), https://arxiv.org/abs/1903.10829."""

import torch
from torch import Tensor, nn

from cv_attention.blocks.base import STEEP, Device, Dtype, Factory, Gate, check_whole, zero
from cv_attention.blocks.batch_statistics import check_batch_statistics
from cv_attention.blocks.functional.gating import times
from cv_attention.blocks.functional.norms import l2_norm
from cv_attention.blocks.functional.pooling import average


class StyleRecalibration(Gate):
    """Reweights channels from their mean and deviation: ``x * sigmoid(norm(w_1 mean(x) + w_2 std(x)))``.

    Paper: Style-based recalibration module, SRM (Lee et al., ICCV 2019), https://arxiv.org/abs/1903.10829.

    Every channel has its own two weights, which start at zero as in the official code; `norm` is a batch
    norm. Training needs more than one image in a batch.

    Map: `channel`, (B, C, 1, 1), values in (0, 1); 0.5 at the start.

    Args:
        channels: Channels C of the input.
        unbiased: Whether the variance is divided by H W - 1 as in the official code, which gives no number at
            H = W = 1; the paper's equation 2, and the default, divides by H W.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if `channels` is not a positive integer; in training, if the batch has one image.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import StyleRecalibration
        >>> block = StyleRecalibration(64)
        >>> x = torch.randn(2, 64, 14, 14)
        >>> torch.allclose(block(x), x / 2)  # its weights start at zero
        True
        >>> block.weight.shape  # of each channel's mean and deviation
        torch.Size([64, 2])
    """

    kind = "channel"
    gain: float = 1.0  # what multiplies the last norm; `STEEP` where its scale starts at zero

    def __init__(self, channels: int, *, unbiased: bool = False, device: Device = None, dtype: Dtype = None) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        check_whole(channels=channels)
        self.unbiased = unbiased
        self.weight = nn.Parameter(torch.zeros(channels, 2, **factory))
        self.norm = nn.BatchNorm1d(channels, **factory)

    def start_as_identity(self) -> None:
        """Zeroes the norm's scale, so that the gate starts at 0.5, and divides the gate by that."""
        # Of weights at zero, the norm would make a full deviation after the first step, however small that is.
        nn.init.ones_(self.weight)
        zero(self.norm)
        self.start, self.gain = 0.5, STEEP

    def attention(self, x: Tensor) -> Tensor:
        """Computes the gate (B, C, 1, 1) of `x` (B, C, H, W)."""
        mean = average(x, (2, 3))
        positions = x.shape[2] * x.shape[3]
        if self.unbiased and positions == 1:
            raise ValueError("unbiased=True needs more than one position, got a feature map of 1 x 1")
        # Not torch.std, which takes several times as long on a CPU.
        deviation = l2_norm(x - mean[:, :, None, None]) * (positions - int(self.unbiased)) ** -0.5
        deviation = deviation.to(x.dtype)
        style = torch.addcmul(self.weight[:, 0] * mean, self.weight[:, 1], deviation)
        check_batch_statistics(self.norm, style)
        return times(self.norm(style), self.gain).sigmoid().to(x.dtype)[:, :, None, None]
