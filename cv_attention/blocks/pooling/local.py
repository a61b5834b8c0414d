"""Local attention pooling, "local-p", in two dimensions (Luong et al., EMNLP 2015), https://arxiv.org/abs/1508.04025."""

from typing import get_args

import torch
from torch import Tensor, nn

from cv_attention.blocks.base import Device, Dtype, Factory, check_choice, check_whole
from cv_attention.blocks.functional.gating import softmax_gate
from cv_attention.blocks.functional.half_precision import widened, without_autocast
from cv_attention.blocks.functional.scores import general_scores, local_scores
from cv_attention.blocks.pooling.weighted import State, WeightedPool, drawn, hidden_width, mean_of


class LocalPool(WeightedPool):
    """Weighs positions by scores and their distance to a predicted centre: ``x_i * N a_i``.

    Paper: Local attention pooling, "local-p", in two dimensions (Luong et al., EMNLP 2015), https://arxiv.org/abs/1508.04025.

    ``a_i ~ exp(s · W x_i - λ |p_i - p|² / (2 σ²))`` with ``p = (H, W) * sigmoid(V_p tanh(W_p s))`` and σ = D / 2; N is
    the number of positions. The strength λ of the Gaussian is learned, and it and W start at zero, so that a fresh
    block is the identity. With ``renormalise=False`` the equations 9 and 10 are those of the paper: λ = 1, and the
    softmax of ``s · W x_i`` over the window of at most 2 D + 1 rows and columns around p, times the Gaussian. Such
    weights sum to less than 1, and the block starts as the identity only if inserted with ``init="identity"``.

    Map: `spatial`, (B, 1, H, W), values in [0, N], with mean 1 if renormalised; with several heads `joint`,
    (B, C, H, W).

    Args:
        channels: Channels C of the input.
        reach: D, in positions.
        state: The state s, which in the paper is a decoder's: ``global``, the mean of x over all positions, or
            ``learned``, the same vector for all images.
        renormalise: Whether the weights are those of a softmax over all positions.
        width: Length of the hidden vector ``tanh(W_p s)``; None takes C // 4, at least 1.
        heads: Number of groups of C / heads neighbouring channels, each with a centre and weights of its own.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if `channels` is not divisible by `heads`, a number is not a positive integer, or `state` is
            unknown.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import LocalPool
        >>> block, x = LocalPool(64), torch.randn(2, 64, 7, 7)
        >>> torch.equal(block(x), x)
        True
    """

    def __init__(
        self,
        channels: int,
        *,
        reach: int = 2,
        state: State = "global",
        renormalise: bool = True,
        width: int | None = None,
        heads: int = 1,
        device: Device = None,
        dtype: Dtype = None,
    ) -> None:
        super().__init__(channels, heads)
        factory: Factory = {"device": device, "dtype": dtype}
        width, depth = hidden_width(channels, width), channels // heads
        check_whole(reach=reach, width=width)
        check_choice("state", state, get_args(State))
        self.reach = reach
        self.state = nn.Parameter(torch.randn(channels, **factory)) if state == "learned" else None
        self.weight = nn.Parameter(torch.zeros(heads, depth, depth, **factory))
        self.hidden = drawn(width, channels, **factory)  # W_p
        self.centre = drawn(2 * heads, width, **factory)  # V_p
        self.strength = nn.Parameter(torch.zeros(heads, **factory)) if renormalise else None  # λ

    def gate(self, x: Tensor) -> Tensor:
        """Computes N times the weights, (B, heads, H*W), of `x` (B, C, H, W)."""
        with without_autocast(x):
            key = self.split(widened(x))
            state = mean_of(x).flatten(1) if self.state is None else self.state[None].to(key.dtype)
            query = state.unflatten(1, (self.heads, 1, -1))
            scores = general_scores(query, key, self.weight)[:, :, 0]
            share = ((state @ widened(self.hidden).t()).tanh() @ widened(self.centre).t()).sigmoid()
            size = torch.stack([share.new_full((), side) for side in x.shape[2:]])
            centre = share.unflatten(1, (self.heads, 2)) * size
            local = local_scores(centre, x.shape[2:], self.reach, window=self.strength is None)
            if self.strength is not None:
                return softmax_gate(scores + widened(self.strength)[:, None] * local)
            return softmax_gate(scores.masked_fill(local.isneginf(), -torch.inf)) * local.exp()
