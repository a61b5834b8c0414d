"""Cross-covariance attention (XCiT: El-Nouby et al., NeurIPS 2021), https://arxiv.org/abs/2106.09681."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cv_attention.blocks.base import AttentionMap, Block, Device, Dtype, Factory, check_divisible, zero
from cv_attention.blocks.functional.half_precision import widened
from cv_attention.blocks.functional.layout import laid_out_as, project


class CrossCovarianceAttention(Block):
    """Mixes channels by how alike they are over all positions: ``softmax(Q̂ K̂ᵀ τ_h) V``, then W_o.

    Paper: Cross-covariance attention (XCiT: El-Nouby et al., NeurIPS 2021), https://arxiv.org/abs/2106.09681.

    Q̂ and K̂ are (d, N), each row of length 1; τ_h is a learned temperature per head (the paper divides by it, the
    official code multiplies). The cost is linear in the number of positions.

    Map: `alignment`, (B, heads, d, d), channels by channels; the last axis sums to 1.

    Args:
        channels: Channels C of the input.
        heads: Number of heads; d = C / heads.
        qkv_bias: Whether the query, key and value projections have biases; off, as in the official class.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if `channels` is not divisible by `heads`.

    Examples:
        >>> import torch
        >>> from cv_attention import blocks, record
        >>> block = blocks.CrossCovarianceAttention(64, heads=4)
        >>> with record(block) as maps:
        ...     print(block(torch.randn(2, 64, 14, 14)).shape)
        torch.Size([2, 64, 14, 14])
        >>> maps["map"].values.shape  # the channels of each head among each other
        torch.Size([2, 4, 16, 16])
    """

    def __init__(
        self, channels: int, *, heads: int = 4, qkv_bias: bool = False, device: Device = None, dtype: Dtype = None
    ) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        check_divisible(channels=channels, heads=heads)
        self.heads = heads
        self.qkv = nn.Linear(channels, 3 * channels, bias=qkv_bias, **factory)
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1, **factory))
        self.project = nn.Linear(channels, channels, **factory)
        self.map = AttentionMap("alignment")

    def start_as_identity(self) -> None:
        """Zeroes the last layer: the block returns zeros, to be added to its input."""
        zero(self.project)

    def forward(self, x: Tensor) -> Tensor:
        """Mixes the channels of `x` (B, C, H, W); keeps shape and memory format."""
        # (B, 3C, H, W) -> three of (B, heads, d, N)
        query, key, value = project(x, self.qkv).flatten(2).unflatten(1, (3, self.heads, -1)).unbind(1)
        # Rows of length 1 before the product: the sum over positions would overflow in half precision, as lengths do.
        query, key = (F.normalize(widened(part), dim=-1).to(value.dtype) for part in (query, key))
        logits = query @ key.transpose(-2, -1)
        attention = self.map((logits * self.temperature).softmax(-1))
        mixed = (attention.to(value.dtype) @ value).flatten(1, 2).unflatten(2, x.shape[2:])
        return project(laid_out_as(mixed, x), self.project)
