"""Weighs the kernels of a dynamic convolution, image by image, with a temperature that may fall in training."""

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from cv_attention.blocks.base import Device, Dtype, Factory, bottleneck, check_choice, check_positive, check_whole
from cv_attention.blocks.functional.half_precision import widened
from cv_attention.blocks.functional.pooling import average

Routing = Literal["softmax", "sigmoid"]


class KernelAttention(nn.Module):
    """Computes ``softmax((W_2 relu(W_1 mean(x))) / τ)`` or, with sigmoids, ``sigmoid(W_1 mean(x))`` over the kernels.

    Args:
        channels: Channels C of the input.
        kernels: Number K of kernels.
        reduction: Bottleneck ratio of the softmax's MLP.
        routing: ``softmax`` or ``sigmoid``.
        temperature: τ.
        annealing: Forwards in training over which τ falls linearly to 1; None leaves it as it is.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.
    """

    def __init__(
        self,
        channels: int,
        kernels: int,
        reduction: int,
        routing: Routing,
        temperature: float,
        annealing: int | None,
        device: Device = None,
        dtype: Dtype = None,
    ) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        check_choice("routing", routing, get_args(Routing))
        check_positive(temperature=temperature)
        self.routing, self.temperature, self.annealing = routing, temperature, annealing
        hidden = bottleneck(channels, reduction)
        if routing == "softmax":
            self.reduce = nn.Linear(channels, hidden, bias=False, **factory)
        self.route = nn.Linear(hidden if routing == "softmax" else channels, kernels, **factory)
        if annealing is not None:
            check_whole(annealing=annealing)
            self.register_buffer("steps", torch.zeros((), dtype=torch.int64, device=device))

    def forward(self, x: Tensor) -> Tensor:
        """Computes the weights (B, K) of `x` (B, C, H, W), in float32 or wider."""
        pooled = average(x, (2, 3))
        if self.routing == "sigmoid":
            return widened(self.route(pooled)).sigmoid()
        logits = widened(self.route(self.reduce(pooled).relu()))
        if self.annealing is None:
            return (logits / self.temperature).softmax(1)
        steps = self.get_buffer("steps")
        passed = (steps / self.annealing).clamp(max=1).to(logits.dtype)
        if self.training:
            steps.add_(1)
        return (logits / (self.temperature + (1 - self.temperature) * passed)).softmax(1)
