"""Selective kernel convolution (Li et al., CVPR 2019), https://arxiv.org/abs/1903.06586."""

from collections.abc import Sequence
from math import gcd

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cv_attention.blocks.base import (
    AttentionMap,
    Block,
    Device,
    Dtype,
    Factory,
    check_divisible,
    check_odd,
    check_whole,
)
from cv_attention.blocks.batch_statistics import check_batch_statistics
from cv_attention.blocks.functional.pooling import average


class SelectiveKernel(Block):
    """Chooses the kernel size by channel: ``sum_k a_k * U_k``, ``U_k = relu(norm(conv_k(x)))``.

    Paper: Selective kernel convolution (Li et al., CVPR 2019), https://arxiv.org/abs/1903.06586.

    ``a = softmax_k(A_k z)`` over the branches k, ``z = relu(norm(W mean(sum_k U_k)))``.

    Maps: `maps.0`, `maps.1`, ..., one `channel` map (B, C, 1, 1) per branch; over the branches they sum to 1.

    It replaces a convolution and has no residual connection around it. Training needs two images or more, because z is
    normalised over the batch. timm's block splits the input among the branches by default, the paper's does
    not.

    Args:
        channels: Channels C of the input.
        kernel_size: Odd kernel size of each branch.
        dilated: Whether kernels above 3 x 3 are 3 x 3 kernels, dilated to cover as much (section 3.1).
        groups: Groups of the convolutions; None takes the greatest common divisor of C and 32, the paper's.
        reduction: Ratio r; z has max(C // r, minimum) channels.
        minimum: Lower limit L of the channels of z.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if an argument is not in its range or `groups` does not divide `channels`; in training, if
            the batch holds one image.

    Examples:
        >>> import torch
        >>> from cv_attention import blocks, record
        >>> block = blocks.SelectiveKernel(64, kernel_size=(3, 5, 7)).eval()
        >>> with record(block) as maps:
        ...     print(block(torch.randn(2, 64, 14, 14)).shape)
        torch.Size([2, 64, 14, 14])
        >>> list(maps)  # one gate per branch; they sum to 1
        ['maps.0', 'maps.1', 'maps.2']
        >>> torch.allclose(sum(map.values for map in maps.values()), torch.ones(2, 64, 1, 1))
        True
    """

    def __init__(
        self,
        channels: int,
        *,
        kernel_size: Sequence[int] = (3, 5),
        dilated: bool = True,
        groups: int | None = None,
        reduction: int = 16,
        minimum: int = 32,
        device: Device = None,
        dtype: Dtype = None,
    ) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        check_whole(channels=channels, reduction=reduction, minimum=minimum)
        groups = gcd(channels, 32) if groups is None else groups
        check_divisible(channels=channels, groups=groups)
        if not isinstance(kernel_size, Sequence) or len(kernel_size) < 2:
            raise ValueError(f"kernel_size must list two or more odd numbers, got kernel_size={kernel_size!r}")
        self.convs = nn.ModuleList()
        for size in kernel_size:
            check_odd(kernel_size=size)
            kernel, dilation = (3, size // 2) if dilated and size > 3 else (size, 1)
            conv = nn.Conv2d(
                channels, channels, kernel, padding=size // 2, dilation=dilation, groups=groups, bias=False, **factory
            )
            self.convs.append(nn.Sequential(conv, nn.BatchNorm2d(channels, **factory)))
        hidden = max(channels // reduction, minimum)
        self.reduce = nn.Conv2d(channels, hidden, 1, bias=False, **factory)
        self.norm = nn.BatchNorm2d(hidden, **factory)
        self.select = nn.Conv2d(hidden, len(kernel_size) * channels, 1, bias=False, **factory)
        self.maps = nn.ModuleList(AttentionMap("channel") for _ in kernel_size)

    def forward(self, x: Tensor) -> Tensor:
        """Convolves `x` (B, C, H, W); keeps shape and memory format."""
        branches = [F.relu(conv(x), inplace=True) for conv in self.convs]
        # The sum of the averages is the average of the sum, which needs no map of its own.
        averages = [average(branch, (2, 3), keepdim=True) for branch in branches]
        pooled = sum(averages[1:], averages[0])
        check_batch_statistics(self.norm, pooled)
        hidden = self.norm(self.reduce(pooled)).relu()
        # (B, MC, 1, 1) -> (B, M, C, 1, 1)
        weights = self.select(hidden).unflatten(1, (len(branches), -1)).softmax(1)
        y = branches[0] * self.maps[0](weights[:, 0])
        for index in range(1, len(branches)):
            y = torch.addcmul(y, branches[index], self.maps[index](weights[:, index]))
        return y
