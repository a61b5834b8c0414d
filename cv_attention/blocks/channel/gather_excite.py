"""Gather-excite with parameters, GE-theta and GE-theta-plus (Hu et al., NeurIPS 2018).

https://arxiv.org/abs/1810.12348
"""

import torch
from torch import Tensor, nn

from cv_attention.blocks.base import Device, Dtype, Factory, Gate, balance, bottleneck, check_whole, zero
from cv_attention.blocks.batch_statistics import check_batch_statistics
from cv_attention.blocks.functional.gating import spread


class GatherExcite(Gate):
    """Reweights positions from neighbourhoods that learned weights gather: ``x * sigmoid(interp(mlp(G x)))``.

    Paper: Gather-excite with parameters, GE-theta and GE-theta-plus (Hu et al., NeurIPS 2018),
    https://arxiv.org/abs/1810.12348.

    With an extent e, G is log2 e depthwise 3 x 3 convolutions of stride 2, each with a batch norm, a relu
    between them, and `interp` repeats the nearest value. Globally G is one depthwise convolution as large as
    the feature map, with a batch norm, which the paper ties to one feature size: here a kernel of
    `kernel_size` cells that share the map evenly, the same where the map has that size. The mlp is
    ``W2 relu(W1 relu(.))`` over channels (theta-plus), or nothing (theta).

    Map: `joint`, (B, C, H, W), values in (0, 1), about 0.5 at the start; constant over positions where the
    extent is global. Training needs more than one image in a batch where the gathered map is 1 x 1.

    Args:
        channels: Channels C of the input.
        extent: Extent ratio e, a power of two (2, 4 or 8 in the paper); None is global, the paper's best.
        reduction: Bottleneck ratio of the mlp, whose hidden width is max(C // r, 1); None leaves the mlp out.
        kernel_size: Side of the global kernel; the paper's are 56, 28, 14 and 7 in ResNet-50's stages.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if `channels`, `reduction` or `kernel_size` is not a positive integer, or `extent` is
            not a power of two; in training, if the batch has one image and the gathered map one position.

    Examples:
        >>> import torch
        >>> from cv_attention import blocks, record
        >>> block = blocks.GatherExcite(64, extent=4).eval()
        >>> with record(block) as maps:
        ...     print(block(torch.randn(2, 64, 16, 16)).shape)
        torch.Size([2, 64, 16, 16])
        >>> maps["map"].values[0, 0, :4, :4].unique().numel()  # these 4 x 4 positions have one gate
        1
    """

    kind = "joint"

    def __init__(
        self,
        channels: int,
        *,
        extent: int | None = None,
        reduction: int | None = 16,
        kernel_size: int = 7,
        device: Device = None,
        dtype: Dtype = None,
    ) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        check_whole(channels=channels, kernel_size=kernel_size)
        steps, stride, padding = 1, 1, 0
        if extent is not None:
            check_whole(extent=extent)
            steps = extent.bit_length() - 1
            if extent < 2 or extent != 2**steps:
                raise ValueError(f"extent must be a power of two from 2 on or None, got extent={extent}")
            kernel_size, stride, padding = 3, 2, 1
        self.extent = extent
        self.gathers, self.norms = nn.ModuleList(), nn.ModuleList()
        for _ in range(steps):
            gather = nn.Conv2d(channels, channels, kernel_size, stride, padding, groups=channels, bias=False, **factory)
            nn.init.kaiming_normal_(gather.weight)
            self.gathers.append(gather)
            self.norms.append(nn.BatchNorm2d(channels, **factory))
        self.mlp = nn.Identity() if reduction is None else _mlp(channels, bottleneck(channels, reduction), factory)

    def start_as_identity(self) -> None:
        """Lets the last layers give zero, so that the gate starts at 0.5, and divides the gate by that."""
        if isinstance(self.mlp, nn.Sequential):
            _, reduce, _, expand = self.mlp
            balance(reduce, expand)  # pyright: ignore[reportArgumentType]
        else:
            zero(self.norms[-1])
        self.start = 0.5

    def attention(self, x: Tensor) -> Tensor:
        """Computes the gate (B, C, H, W) of `x` (B, C, H, W)."""
        gathered = x
        for step, (gather, norm) in enumerate(zip(self.gathers, self.norms, strict=True)):
            gathered = gathered if step == 0 else gathered.relu()
            gathered = gather(gathered) if self.extent else _gather_all(x, gather)
            check_batch_statistics(norm, gathered)
            gathered = norm(gathered)
        return spread(self.mlp(gathered).sigmoid(), x.shape[2:])


def _mlp(channels: int, hidden: int, factory: Factory) -> nn.Module:
    """Returns the excitation of theta-plus, initialised as in the official prototxt."""
    reduce, expand = nn.Conv2d(channels, hidden, 1, **factory), nn.Conv2d(hidden, channels, 1, **factory)
    for layer in (reduce, expand):
        nn.init.normal_(layer.weight, std=0.01)
        nn.init.zeros_(layer.bias)  # pyright: ignore[reportArgumentType]
    return nn.Sequential(nn.ReLU(), reduce, nn.ReLU(), expand)


def _gather_all(x: Tensor, gather: nn.Module) -> Tensor:
    """Returns (B, C, 1, 1): `x` summed by the weights of `gather`, whose cells share the positions of `x`."""
    assert isinstance(gather, nn.Conv2d)
    kernel = gather.weight[:, 0]
    rows, columns = (_cells(kernel.shape[1], length, kernel) for length in x.shape[2:])
    weight = (rows.T @ kernel @ columns)[None].to(x.dtype)
    if not x.is_contiguous():
        weight = weight.contiguous(memory_format=torch.channels_last)
    return (x * weight).sum((2, 3), keepdim=True)


def _cells(cells: int, length: int, like: Tensor) -> Tensor:
    """Returns (cells, length): the share of a cell that lies on each position; rows sum to 1."""
    dtype = torch.promote_types(like.dtype, torch.float32)
    start = torch.arange(cells, device=like.device, dtype=dtype)[:, None] * (length / cells)
    position = torch.arange(length, device=like.device, dtype=dtype)
    overlap = torch.minimum(start + length / cells, position + 1) - torch.maximum(start, position)
    return (overlap.clamp(min=0) * (cells / length)).to(like.dtype)
