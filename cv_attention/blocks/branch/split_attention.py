"""Split attention of ResNeSt (Zhang et al., 2020), https://arxiv.org/abs/2004.08955."""

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


class SplitAttention(Block):
    """Weighs R splits of a grouped convolution by channel: ``sum_r a_r * U_r``.

    Paper: Split attention of ResNeSt (Zhang et al., 2020), https://arxiv.org/abs/2004.08955.

    ``U = relu(norm(conv(x)))`` has R * C channels; ``a = softmax_r(W2 relu(norm(W1 mean(sum_r U_r))))`` over the
    splits, a sigmoid where R is 1.

    Maps: `maps.0`, `maps.1`, ..., one `channel` map (B, C, 1, 1) per split; over two splits and more they sum to 1.

    It replaces a convolution and has no residual connection around it. Training needs two images or more, because the
    pooled features are normalised over the batch.

    Args:
        channels: Channels C of the input; divisible by groups * radix.
        kernel_size: Side of the square convolution, odd.
        radix: Number of splits R.
        groups: Cardinality K, the groups whose splits are weighed separately.
        reduction: The hidden width is max(C * R // reduction, minimum), made divisible by `groups`.
        minimum: Lower limit of the hidden width.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if `channels` is not divisible by groups * radix, or an argument is not in its range; in
            training, if the batch holds one image.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import SplitAttention
        >>> block = SplitAttention(64, radix=2)  # takes the place of a 3 x 3 convolution
        >>> block(torch.randn(2, 64, 14, 14)).shape
        torch.Size([2, 64, 14, 14])
        >>> block.conv  # all splits in one convolution
        Conv2d(64, 128, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), groups=2, bias=False)
    """

    def __init__(
        self,
        channels: int,
        *,
        kernel_size: int = 3,
        radix: int = 2,
        groups: int = 1,
        reduction: int = 4,
        minimum: int = 32,
        device: Device = None,
        dtype: Dtype = None,
    ) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        check_whole(channels=channels, radix=radix, groups=groups, reduction=reduction, minimum=minimum)
        check_odd(kernel_size=kernel_size)
        check_divisible(**{"channels": channels, "groups * radix": groups * radix})
        width = channels * radix
        hidden = -(-max(width // reduction, minimum) // groups) * groups
        self.radix, self.groups = radix, groups
        self.conv = nn.Conv2d(
            channels, width, kernel_size, padding=kernel_size // 2, groups=groups * radix, bias=False, **factory
        )
        self.norm0 = nn.BatchNorm2d(width, **factory)
        self.reduce = nn.Conv2d(channels, hidden, 1, groups=groups, **factory)
        self.norm1 = nn.BatchNorm2d(hidden, **factory)
        self.expand = nn.Conv2d(hidden, width, 1, groups=groups, **factory)
        self.maps = nn.ModuleList(AttentionMap("channel") for _ in range(radix))

    def forward(self, x: Tensor) -> Tensor:
        """Convolves `x` (B, C, H, W); keeps shape and memory format."""
        splits = F.relu(self.norm0(self.conv(x)), inplace=True)
        # The sum of the averages is the average of the sum, which needs no map of its own.
        pooled = average(splits, (2, 3), keepdim=True).unflatten(1, (self.radix, -1)).sum(1)
        check_batch_statistics(self.norm1, pooled)
        logits = self.expand(self.norm1(self.reduce(pooled)).relu())
        # Channels are ordered (groups, radix, C / groups) here, and (radix, C) in the splits.
        logits = logits.unflatten(1, (self.groups, self.radix, -1)).transpose(1, 2).flatten(2, 3)
        weights = logits.softmax(1) if self.radix > 1 else logits.sigmoid()
        parts = splits.chunk(self.radix, 1)
        y = parts[0] * self.maps[0](weights[:, 0])
        for index in range(1, self.radix):
            y = torch.addcmul(y, parts[index], self.maps[index](weights[:, index]))
        return y
