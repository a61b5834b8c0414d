"""Dynamic convolution (Chen et al., CVPR 2020), https://arxiv.org/abs/1912.03458.

With sigmoids: CondConv (Yang et al., NeurIPS 2019), https://arxiv.org/abs/1904.04971.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cv_attention.blocks.base import (
    AttentionMap,
    Block,
    Device,
    Dtype,
    Factory,
    check_divisible,
    check_odd,
    check_whole,
    zero,
)
from cv_attention.blocks.branch.kernel_attention import KernelAttention, Routing
from cv_attention.blocks.functional.layout import laid_out_as


class DynamicConvolution(Block):
    """Convolves each image with its own mixture of K kernels: ``conv(x; sum_k π_k W_k) + sum_k π_k b_k``.

    Papers: dynamic convolution (Chen et al., CVPR 2020), https://arxiv.org/abs/1912.03458, with attention over the
    kernels, ``π = softmax((W_2 relu(W_1 mean(x))) / τ)``; CondConv (Yang et al., NeurIPS 2019),
    https://arxiv.org/abs/1904.04971, with ``routing="sigmoid"``, ``π = sigmoid(W_1 mean(x))``, which has no τ.

    It replaces a convolution (position `replace`) and has no residual connection around it. An image costs one
    convolution, however many kernels there are; parameters grow with K. A batch is computed as one grouped convolution.

    Map: `alignment`, (B, 1, 1, K): the weight of each kernel; in ``softmax`` they sum to 1.

    Args:
        channels: Channels C of the input.
        kernels: Number K of kernels.
        kernel_size: Side of the square kernels, odd.
        groups: Groups of the convolution.
        reduction: Bottleneck ratio of the softmax's MLP; its hidden width is max(C // reduction, 1).
        routing: ``softmax``, dynamic convolution, or ``sigmoid``, CondConv.
        temperature: τ. A large one lets all kernels learn; the paper starts with 30.
        annealing: Forwards in training over which τ falls linearly to 1, after which it stays there (the paper's takes
            10 epochs: 10 times the batches of an epoch); None leaves τ as it is. The count is saved in checkpoints.
        bias: Whether there is b, one for each kernel.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if `groups` does not divide `channels`, or an argument is not in its range.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=8)
        >>> plan = cva.insert(model, {"name": "dynamic_convolution", "kernels": 4}, at="replace:-1")
        >>> with cva.record(model) as maps:
        ...     logits = model(torch.randn(2, 3, 32, 32))
        >>> maps["layer3.1.conv1.attention.map"].values.shape  # two images, four kernels
        torch.Size([2, 1, 1, 4])
    """

    def __init__(
        self,
        channels: int,
        *,
        kernels: int = 4,
        kernel_size: int = 3,
        groups: int = 1,
        reduction: int = 4,
        routing: Routing = "softmax",
        temperature: float = 30.0,
        annealing: int | None = None,
        bias: bool = True,
        device: Device = None,
        dtype: Dtype = None,
    ) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        check_divisible(channels=channels, groups=groups)
        check_whole(kernels=kernels)
        check_odd(kernel_size=kernel_size)
        self.kernel_size, self.groups = kernel_size, groups
        self.attention = KernelAttention(channels, kernels, reduction, routing, temperature, annealing, **factory)
        fan_in = channels // groups * kernel_size**2
        # In 3 axes, which a conversion to channels_last leaves alone.
        self.weight = nn.Parameter(torch.empty(kernels, channels, fan_in, **factory))
        self.bias = nn.Parameter(torch.empty(kernels, channels, **factory)) if bias else None
        for parameter in [self.weight] + ([] if self.bias is None else [self.bias]):
            nn.init.uniform_(parameter, -(fan_in**-0.5), fan_in**-0.5)  # as in nn.Conv2d
        self.map = AttentionMap("alignment")

    def start_as_identity(self) -> None:
        """Zeroes the kernels: the block returns zeros, to be added to its input."""
        zero(self.weight, *([] if self.bias is None else [self.bias]))

    def forward(self, x: Tensor) -> Tensor:
        """Convolves `x` (B, C, H, W); keeps shape and memory format."""
        mixture = self.map(self.attention(x)[:, None, None]).flatten(1).to(self.weight.dtype)
        weight = (mixture @ self.weight.flatten(1)).view(-1, x.shape[1] // self.groups, *2 * [self.kernel_size])
        bias = None if self.bias is None else (mixture @ self.bias).flatten()
        images, groups = x.reshape(1, -1, *x.shape[2:]), len(x) * self.groups  # each image has channels of its own
        y = F.conv2d(images, weight, bias, padding=self.kernel_size // 2, groups=groups)
        return laid_out_as(y.view(x.shape), x)
