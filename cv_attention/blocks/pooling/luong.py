"""Luong's attention pooling (Luong et al., EMNLP 2015), https://arxiv.org/abs/1508.04025."""

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from cv_attention.blocks.base import Device, Dtype, Factory, check_choice, check_whole
from cv_attention.blocks.functional.half_precision import widened, without_autocast
from cv_attention.blocks.functional.scores import concat_scores, dot_scores, general_scores
from cv_attention.blocks.pooling.weighted import State, WeightedPool, drawn, hidden_width, mean_of

Score = Literal["dot", "general", "concat"]


class LuongPool(WeightedPool):
    """Weighs positions by the scores of equation 8: ``x_i * N softmax_i(score(s, x_i))``.

    Paper: Luong's attention pooling (Luong et al., EMNLP 2015), https://arxiv.org/abs/1508.04025.

    The score is ``s · x_i`` (dot), ``s · W x_i`` (general) or ``v · tanh(W [s, x_i])`` (concat); N is the number of
    positions. At the position `pool`, the network's mean makes of it the weighted average ``sum_i a_i x_i``. What the
    score multiplies last starts at zero (s, W or v), so that a fresh block is the identity.

    Map: `spatial`, (B, 1, H, W), values in [0, N] with mean 1; with several heads `joint`, (B, C, H, W).

    Args:
        channels: Channels C of the input.
        score: ``dot``, ``general`` or ``concat``.
        state: The state s, which in the paper is a decoder's: ``global``, the mean of x over all positions, or
            ``learned``, the same vector for all images; None takes ``learned`` for ``dot``, else ``global``. The dot
            product with the mean would have nothing to learn, and is refused.
        width: Length of v, for ``concat``; None takes C // 4, at least 1.
        heads: Number of groups of C / heads neighbouring channels, each with weights of its own.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if `channels` is not divisible by `heads`, a number is not a positive integer, `score` or `state` is
            unknown, or `score` is ``dot`` and `state` ``global``.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import LuongPool
        >>> block, x = LuongPool(64, score="concat"), torch.randn(2, 64, 7, 7)
        >>> torch.equal(block(x), x)
        True
    """

    def __init__(
        self,
        channels: int,
        *,
        score: Score = "general",
        state: State | None = None,
        width: int | None = None,
        heads: int = 1,
        device: Device = None,
        dtype: Dtype = None,
    ) -> None:
        super().__init__(channels, heads)
        factory: Factory = {"device": device, "dtype": dtype}
        width, depth = hidden_width(channels, width), channels // heads
        check_whole(width=width)
        check_choice("score", score, get_args(Score))
        check_choice("state", state, (*get_args(State), None))
        if score == "dot" and state == "global":
            raise ValueError("score='dot' has nothing to learn with state='global'; take 'general', or state='learned'")
        self.score = score
        learned = state == "learned" or score == "dot"
        self.state = nn.Parameter(torch.zeros(heads, depth, **factory)) if learned else None
        self.weight = self.v = None
        if score == "general":
            self.weight = nn.Parameter(torch.zeros(heads, depth, depth, **factory))
        elif score == "concat":
            self.weight = drawn(heads, width, 2 * depth, **factory)
            self.v = nn.Parameter(torch.zeros(heads, width, **factory))
        if self.state is not None and score != "dot":
            nn.init.normal_(self.state)

    def scores(self, x: Tensor) -> Tensor:
        """Computes the scores (B, heads, H*W) of `x` (B, C, H, W)."""
        with without_autocast(x):
            key = self.split(widened(x))
            query = self.split(mean_of(x)) if self.state is None else self.state[:, None].to(key.dtype)
            if self.score == "dot":
                return dot_scores(query, key)[:, :, 0]
            assert self.weight is not None
            if self.score == "general":
                return general_scores(query, key, self.weight)[:, :, 0]
            return concat_scores(query, key, self.weight, self.v)[:, :, 0]
