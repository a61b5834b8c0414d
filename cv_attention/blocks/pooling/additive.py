"""Additive attention pooling (Bahdanau et al., ICLR 2015), https://arxiv.org/abs/1409.0473."""

from typing import get_args

import torch
from torch import Tensor, nn

from cv_attention.blocks.base import Device, Dtype, Factory, check_choice, check_whole
from cv_attention.blocks.functional.scores.additive import additive_scores
from cv_attention.blocks.pooling.weighted import State, WeightedPool, hidden_width, mean_of, per_head


class AdditivePool(WeightedPool):
    """Weighs positions by additive scores: ``x_i * N softmax_i(v · tanh(W_h x_i + W_s s))``.

    Paper: Additive attention pooling (Bahdanau et al., ICLR 2015), https://arxiv.org/abs/1409.0473.

    N is the number of positions. At the position `pool`, the network's mean makes of it the weighted average
    ``sum_i a_i x_i``; v starts at zero, so that a fresh block is the identity, and the network pools as before.

    Map: `spatial`, (B, 1, H, W), values in [0, N] with mean 1; with several heads `joint`, (B, C, H, W).

    Args:
        channels: Channels C of the input.
        width: Length of v; None takes C // 4, at least 1.
        state: The state s, which in the paper is a decoder's: ``learned``, where W_s s is one vector that is the same
            for all images, the bias of the tanh; or ``global``, the mean of x over all positions.
        heads: Number of groups of C / heads neighbouring channels, each with weights of its own.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if `channels` is not divisible by `heads`, a number is not a positive integer, or `state` is
            unknown.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import AdditivePool
        >>> block, x = AdditivePool(64), torch.randn(2, 64, 7, 7)
        >>> torch.equal(block(x), x)
        True
    """

    def __init__(
        self,
        channels: int,
        *,
        width: int | None = None,
        state: State = "learned",
        heads: int = 1,
        device: Device = None,
        dtype: Dtype = None,
    ) -> None:
        super().__init__(channels, heads)
        factory: Factory = {"device": device, "dtype": dtype}
        width = hidden_width(channels, width)
        check_whole(width=width)
        check_choice("state", state, get_args(State))
        self.key = per_head(channels, width, heads, bias=False, factory=factory)
        self.query = None if state == "learned" else per_head(channels, width, heads, bias=False, factory=factory)
        self.state = nn.Parameter(torch.zeros(heads, width, **factory)) if state == "learned" else None
        self.v = nn.Parameter(torch.zeros(heads, width, **factory))

    def scores(self, x: Tensor) -> Tensor:
        """Computes the scores (B, heads, H*W) of `x` (B, C, H, W)."""
        key = self.split(self.key(x))
        if self.query is None:
            assert self.state is not None
            query = self.state[:, None].to(key.dtype)
        else:
            query = self.split(self.query(mean_of(x).to(x.dtype)))
        return additive_scores(query, key, self.v)[:, :, 0]
