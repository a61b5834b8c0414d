"""Attention-based multiple-instance learning (Ilse et al., ICML 2018), https://arxiv.org/abs/1802.04712."""

import torch
from torch import Tensor, nn

from cv_attention.blocks.base import Device, Dtype, Factory, check_whole
from cv_attention.blocks.functional.scores.gated import gated_scores
from cv_attention.blocks.pooling.weighted import WeightedPool, hidden_width, per_head


class GatedPool(WeightedPool):
    """Weighs positions by gated scores: ``x_i * N softmax_i(w · (tanh(V x_i) * sigmoid(U x_i)))``.

    Paper: Attention-based multiple-instance learning (Ilse et al., ICML 2018), https://arxiv.org/abs/1802.04712.

    The positions of a feature map are the instances of the paper's bag, N is their number. At the position `pool`, the
    network's mean makes of it the paper's pooling ``sum_i a_i x_i``. w starts at zero, so that a fresh block is the
    identity.

    Map: `spatial`, (B, 1, H, W), values in [0, N] with mean 1; with several heads `joint`, (B, C, H, W).

    Args:
        channels: Channels C of the input.
        width: Length L of w; None takes C // 4, at least 1.
        gated: Whether the sigmoid is there, as in equation 9; without it is equation 8.
        bias: Whether V and U have biases, as in the official code; the paper has none.
        heads: Number of groups of C / heads neighbouring channels, each with weights of its own.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if `channels` is not divisible by `heads`, or a number is not a positive integer.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import GatedPool
        >>> block, x = GatedPool(64), torch.randn(2, 64, 7, 7)
        >>> torch.equal(block(x), x)
        True
    """

    def __init__(
        self,
        channels: int,
        *,
        width: int | None = None,
        gated: bool = True,
        bias: bool = False,
        heads: int = 1,
        device: Device = None,
        dtype: Dtype = None,
    ) -> None:
        super().__init__(channels, heads)
        factory: Factory = {"device": device, "dtype": dtype}
        width = hidden_width(channels, width)
        check_whole(width=width)
        self.key = per_head(channels, width, heads, bias=bias, factory=factory)  # V
        self.opening = per_head(channels, width, heads, bias=bias, factory=factory) if gated else None  # U
        self.w = nn.Parameter(torch.zeros(heads, width, **factory))

    def scores(self, x: Tensor) -> Tensor:
        """Computes the scores (B, heads, H*W) of `x` (B, C, H, W)."""
        opening = None if self.opening is None else self.split(self.opening(x))
        return gated_scores(self.split(self.key(x)), opening, self.w)[:, :, 0]
