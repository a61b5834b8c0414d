"""Channel attention of DANet (Fu et al., CVPR 2019), https://arxiv.org/abs/1809.02983."""

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from cv_attention.blocks.base import AttentionMap, Block, Device, Dtype, Factory, check_choice, check_whole
from cv_attention.blocks.functional.half_precision import widened, without_autocast

Energy = Literal["inverted", "plain"]


class DANetChannel(Block):
    """Adds other channels' maps: ``x_j + beta sum_i softmax_i(e_ji) x_i`` (equations 3 and 4).

    Paper: Channel attention of DANet (Fu et al., CVPR 2019), https://arxiv.org/abs/1809.02983.

    With ``plain`` energy, ``e_ji = x_j . x_i``, as in the paper, a channel attends to those like it, itself first;
    with ``inverted``, ``e_ji = max_k(x_j . x_k) - x_j . x_i``, as in the official code and here by default, to
    those unlike it. A fresh block is an identity: beta starts at zero.

    Map: `alignment`, (B, 1, C, C); the last axis sums to 1.

    Args:
        channels: Channels C of the input; beta does not depend on them.
        energy: ``inverted`` or ``plain``.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if `channels` is not a positive integer or `energy` unknown.

    Examples:
        >>> import torch
        >>> from cv_attention import blocks, record
        >>> block = blocks.DANetChannel(64, energy="plain")
        >>> with record(block) as maps:
        ...     print(block(torch.randn(2, 64, 7, 7)).shape)
        torch.Size([2, 64, 7, 7])
        >>> maps["map"].values.shape  # channels by channels
        torch.Size([2, 1, 64, 64])
    """

    def __init__(
        self, channels: int, *, energy: Energy = "inverted", device: Device = None, dtype: Dtype = None
    ) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        check_whole(channels=channels)
        check_choice("energy", energy, get_args(Energy))
        self.energy = energy
        self.beta = nn.Parameter(torch.zeros((), **factory))
        self.map = AttentionMap("alignment")

    def forward(self, x: Tensor) -> Tensor:
        """Mixes the channels of `x` (B, C, H, W); keeps shape and memory format."""
        maps = x.flatten(2)
        with without_autocast(x):
            energy = widened(maps) @ widened(maps).transpose(1, 2)
        # Softmax itself takes away any constant of a row, such as the maximum.
        weights = self.map((-energy if self.energy == "inverted" else energy).softmax(2)[:, None])
        mixed = weights[:, 0].to(maps.dtype) @ maps
        return x + self.beta * mixed.unflatten(2, x.shape[2:])
