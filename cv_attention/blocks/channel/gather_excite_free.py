"""Gather-excite without parameters, GE-theta-minus (Hu et al., NeurIPS 2018), https://arxiv.org/abs/1810.12348."""

from torch import Tensor
from torch.nn import functional as F

from cv_attention.blocks.base import Device, Dtype, Gate, check_whole
from cv_attention.blocks.functional.gating import spread
from cv_attention.blocks.functional.pooling import average


class GatherExciteFree(Gate):
    """Reweights positions from their neighbourhoods' averages: ``x * sigmoid(interp(avgpool(x)))``.

    Paper: Gather-excite without parameters, GE-theta-minus (Hu et al., NeurIPS 2018), https://arxiv.org/abs/1810.12348.

    With an extent e the average is over windows of side 2 e - 1 at every e-th position, of what lies inside
    the feature map, and `interp` repeats the nearest one; globally it is one average per channel.

    Map: `joint`, (B, C, H, W), values in (0, 1), about 0.5 where the input is centred; constant over
    positions where the extent is global.

    Args:
        channels: Channels C of the input; the gate has no weights.
        extent: Extent ratio e (2, 4 or 8 in the paper); None is global, the paper's best.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if `channels` or `extent` is not a positive integer.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import GatherExciteFree
        >>> block = GatherExciteFree(2)  # one gate per channel: the sigmoid of its average
        >>> block(torch.tensor([0.0, 2.0]).view(1, 2, 1, 1).expand(1, 2, 3, 3))[0, :, 0, 0]
        tensor([0.0000, 1.7616])
        >>> GatherExciteFree(64, extent=4)(torch.randn(2, 64, 16, 16)).shape
        torch.Size([2, 64, 16, 16])
    """

    kind = "joint"

    def __init__(self, channels: int, *, extent: int | None = None, device: Device = None, dtype: Dtype = None) -> None:
        super().__init__()
        check_whole(channels=channels)
        if extent is not None:
            check_whole(extent=extent)
        self.extent = extent

    def attention(self, x: Tensor) -> Tensor:
        """Computes the gate (B, C, H, W) of `x` (B, C, H, W)."""
        if self.extent is None:
            gathered = average(x, (2, 3), keepdim=True)
        else:
            e = self.extent
            gathered = F.avg_pool2d(x, 2 * e - 1, stride=e, padding=e - 1, count_include_pad=False)
        return spread(gathered.sigmoid(), x.shape[2:])
