"""A block that draws from every generator there is, so that a lost random state shows."""

import random

import numpy as np
from torch import Tensor, nn
from torch.nn import functional

from cv_attention.blocks.channel.squeeze_excite import SqueezeExcite


class Noise(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate = SqueezeExcite(channels)

    def forward(self, x: Tensor) -> Tensor:
        x = self.gate(x)
        if not self.training:
            return x
        return functional.dropout(x, 0.1) * (1 + 0.1 * random.random() + 0.1 * np.random.rand())
