"""Global second-order pooling, GSoP-Net (Gao et al., CVPR 2019), https://arxiv.org/abs/1811.12006."""

from torch import Tensor, nn

from cv_attention.blocks.base import Device, Dtype, Factory, Gate, check_whole, zero
from cv_attention.blocks.batch_statistics import check_batch_statistics
from cv_attention.blocks.functional.half_precision import run_wide, widened, without_autocast


class GlobalSecondOrderPooling(Gate):
    """Reweights channels from how they vary together: ``x * sigmoid(W rows(norm(cov(f))))``.

    Paper: Global second-order pooling, GSoP-Net (Gao et al., CVPR 2019), https://arxiv.org/abs/1811.12006.

    ``f = relu(norm(reduce(relu(x))))`` has d channels and M positions, ``cov(f) = F F^T / M - m m^T`` is
    their covariance over positions, (d, d). `rows` maps every row of it, that is one channel's covariances
    with all, to four numbers by weights of its own; W maps all 4 d numbers to the C gates.

    As in the official code, x passes a relu first, which the paper's figure 2 does not show, and nothing lies
    between `rows` and W. The spatial half of the official code is not part of this block.

    Map: `channel`, (B, C, 1, 1), values in (0, 1); about 0.5 at the start.

    Args:
        channels: Channels C of the input.
        dim: Channels d whose covariance is taken; never more than C.
        stride: Stride of `reduce`; the official ResNet-50 takes 2 in its first stage, else 1.
        rectify: Whether x passes a relu first.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if `channels`, `dim` or `stride` is not a positive integer; in training, if a batch of one
            image has one position.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import GlobalSecondOrderPooling
        >>> block = GlobalSecondOrderPooling(64, dim=16)  # the covariance of 16 channels
        >>> block(torch.randn(2, 64, 14, 14)).shape
        torch.Size([2, 64, 14, 14])
        >>> block.rows  # four numbers from each row of the covariance
        Conv1d(16, 64, kernel_size=(16,), stride=(1,), groups=16)
    """

    kind = "channel"

    def __init__(
        self,
        channels: int,
        *,
        dim: int = 128,
        stride: int = 1,
        rectify: bool = True,
        device: Device = None,
        dtype: Dtype = None,
    ) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        check_whole(channels=channels, dim=dim, stride=stride)
        dim = min(dim, channels)
        self.rectify = rectify
        self.reduce = nn.Conv2d(channels, dim, 1, stride=stride, **factory)
        self.norm = nn.BatchNorm2d(dim, **factory)
        self.row_norm = nn.BatchNorm1d(dim, **factory)
        self.rows = nn.Conv1d(dim, 4 * dim, dim, groups=dim, **factory)
        self.expand = nn.Linear(4 * dim, channels, **factory)
        for layer in (self.reduce, self.rows, self.expand):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out")

    def start_as_identity(self) -> None:
        """Zeroes the last layer, so that the gate starts at 0.5, and divides the gate by that."""
        zero(self.expand)
        self.start = 0.5

    def attention(self, x: Tensor) -> Tensor:
        """Computes the gate (B, C, 1, 1) of `x` (B, C, H, W)."""
        features = self.reduce(x.relu() if self.rectify else x)
        check_batch_statistics(self.norm, features)
        features = widened(self.norm(features).relu().flatten(2))
        with without_autocast(x):
            centred = features - features.mean(2, keepdim=True)
            covariance = centred @ centred.transpose(1, 2) / features.shape[2]
            rows = run_wide(self.rows, run_wide(self.row_norm, covariance)).flatten(1)
            gate = run_wide(self.expand, rows).sigmoid()
        return gate.to(x.dtype)[:, :, None, None]
