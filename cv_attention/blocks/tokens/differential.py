"""Differential attention (Differential Transformer: Ye et al., ICLR 2025), https://arxiv.org/abs/2410.05258."""

import torch
from torch import Tensor, nn

from cv_attention.blocks.base import AttentionMap, Block, Device, Dtype, Factory, check_divisible, check_positive, zero
from cv_attention.blocks.functional.attention import attend, attention_weights
from cv_attention.blocks.functional.half_precision import run_wide, widened
from cv_attention.blocks.functional.layout import project, to_map, to_tokens


class DifferentialAttention(Block):
    """The difference of two attention maps: ``(softmax(Q₁K₁ᵀ / sqrt(d)) - λ softmax(Q₂K₂ᵀ / sqrt(d))) V``.

    Paper: Differential attention (Differential Transformer: Ye et al., ICLR 2025), https://arxiv.org/abs/2410.05258.

    What both maps have in common, noise, cancels. λ = exp(λ_q1 · λ_k1) - exp(λ_q2 · λ_k2) + λ_init is learned and
    shared by the heads; every head is RMS-normalised and multiplied by 1 - λ_init; then W_o.

    Map: `pairwise`, (B, heads, H*W, H, W), the difference: values may be negative; the last two axes sum to 1 - λ.

    Args:
        channels: Channels C of the input.
        heads: Number of heads h; d = C / 2h.
        lambda_init: λ_init; the paper's 0.8 - 0.6 exp(-0.3 (l - 1)) goes from 0.2 in its first layer to 0.8.
        qkv_bias: Whether the query, key and value projections have biases; the paper's have none.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if `channels` is not divisible by twice `heads`, or `lambda_init` does not lie in (0, 1).

    Examples:
        >>> import torch
        >>> from cv_attention import blocks, record
        >>> block = blocks.DifferentialAttention(64, heads=4, lambda_init=0.8)
        >>> with record(block) as maps:
        ...     print(block(torch.randn(2, 64, 7, 7)).shape)
        torch.Size([2, 64, 7, 7])
        >>> bool((maps["map"].values < 0).any())  # a difference of two softmaxes
        True
    """

    def __init__(
        self,
        channels: int,
        *,
        heads: int = 4,
        lambda_init: float = 0.8,
        qkv_bias: bool = False,
        device: Device = None,
        dtype: Dtype = None,
    ) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        check_divisible(channels=channels, heads=heads)
        if channels % (2 * heads):
            raise ValueError(f"channels must be divisible by twice heads, got channels={channels}, heads={heads}")
        check_positive(lambda_init=lambda_init)
        if lambda_init >= 1:
            raise ValueError(f"lambda_init must be below 1, got lambda_init={lambda_init!r}")
        self.heads = heads
        self.lambda_init = lambda_init
        depth = channels // (2 * heads)
        self.qkv = nn.Linear(channels, 3 * channels, bias=qkv_bias, **factory)
        # Rows q1, k1, q2, k2.
        self.lambdas = nn.Parameter(0.1 * torch.randn(4, depth, **factory))
        self.norm = nn.RMSNorm(2 * depth, eps=1e-5, **factory)
        self.project = nn.Linear(channels, channels, **factory)
        self.map = AttentionMap("pairwise")

    def start_as_identity(self) -> None:
        """Zeroes the last layer: the block returns zeros, to be added to its input."""
        zero(self.project)

    def forward(self, x: Tensor) -> Tensor:
        """Mixes the positions of `x` (B, C, H, W); keeps shape and memory format."""
        size = (x.shape[2], x.shape[3])
        query, key, value = (to_tokens(part) for part in project(x, self.qkv).chunk(3, 1))
        value = value.unflatten(2, (self.heads, -1)).transpose(1, 2)
        # (B, N, C) -> two of (B, heads, N, d)
        queries, keys = (
            part.unflatten(2, (self.heads, 2, -1)).permute(3, 0, 2, 1, 4).unbind(0) for part in (query, key)
        )
        first, second = (self.lambdas[0::2] * self.lambdas[1::2]).sum(1).exp()
        factor = (first - second + self.lambda_init).to(value.dtype)
        if self.map.observed:
            mixed = self._mix_seen(queries, keys, value, factor, size)
        else:
            plus, minus = (attend(q, k, value) for q, k in zip(queries, keys, strict=True))
            mixed = plus - factor * minus
        mixed = run_wide(self.norm, widened(mixed)).to(value.dtype) * (1 - self.lambda_init)
        return project(to_map(mixed.transpose(1, 2).flatten(2), x), self.project)

    def _mix_seen(self, queries, keys, value: Tensor, factor: Tensor, size: tuple[int, int]) -> Tensor:
        plus, minus = (attention_weights(q, k) for q, k in zip(queries, keys, strict=True))
        attention = self.map((plus - factor * minus).unflatten(-1, size))
        return attention.flatten(-2).to(value.dtype) @ value
