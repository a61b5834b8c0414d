"""Class attention of CaiT (Touvron et al., ICCV 2021), https://arxiv.org/abs/2103.17239."""

import torch
from torch import Tensor, nn

from cv_attention.blocks.base import (
    AttentionMap,
    Block,
    Device,
    Dtype,
    Factory,
    check_divisible,
    check_positive,
    check_whole,
)
from cv_attention.blocks.functional.attention import attend
from cv_attention.blocks.functional.layout import expanded_like, to_tokens


class ClassAttention(Block):
    """Returns at every position a class token that attended to all of them: ``z = z + γ1 CA([z, x])``, then the MLP.

    Paper: Class attention of CaiT (Touvron et al., ICCV 2021), https://arxiv.org/abs/2103.17239.

    Each of two layers computes ``z = z + γ1 * CA(LN([z, x]))`` and ``z = z + γ2 * MLP(LN(z))``, where the query of the
    multi-head attention CA is the class token z alone, and keys and values are z and all positions x_i. At the position
    `pool`, the network's mean gives z back. The paper norms z once more before its head.

    Maps: `layers.0.map` and `layers.1.map`, `pairwise`, (B, heads, 1, H, W): the weights of the positions, which with
    that of the class token itself sum to 1.

    Args:
        channels: Channels C of the input.
        heads: Number of heads.
        layers: Number of layers; 2 in the paper. Each has a map.
        mlp_ratio: Width of the MLP's hidden layer divided by C.
        qkv_bias: Whether the query, key and value projections have biases.
        init_values: Where γ1 and γ2 start; 1e-5 in the paper's networks of 24 layers.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if `channels` is not divisible by `heads`, or a number is not positive.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import ClassAttention
        >>> block = ClassAttention(64, heads=8)
        >>> pooled = block(torch.randn(2, 64, 7, 7))
        >>> pooled.shape, torch.equal(pooled[..., 0, 0], pooled[..., 3, 5])  # one vector, at every position
        (torch.Size([2, 64, 7, 7]), True)
    """

    def __init__(
        self,
        channels: int,
        *,
        heads: int = 4,
        layers: int = 2,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = True,
        init_values: float = 1e-5,
        device: Device = None,
        dtype: Dtype = None,
    ) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        check_divisible(channels=channels, heads=heads)
        check_whole(layers=layers)
        check_positive(mlp_ratio=mlp_ratio, init_values=init_values)
        self.token = nn.Parameter(torch.empty(1, 1, channels, **factory))
        nn.init.trunc_normal_(self.token, std=0.02)
        hidden = max(int(channels * mlp_ratio), 1)
        self.layers = nn.ModuleList(
            _Layer(channels, heads, hidden, qkv_bias, init_values, factory) for _ in range(layers)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Attends to the positions of `x` (B, C, H, W); keeps shape and memory format."""
        positions, token = to_tokens(x), self.token.to(x.dtype).repeat(len(x), 1, 1)
        for layer in self.layers:
            token = layer(token, positions, (x.shape[2], x.shape[3]))
        return expanded_like(token[:, 0], x)


class _Layer(nn.Module):
    """One layer of class attention, and the MLP of the class token."""

    def __init__(
        self, channels: int, heads: int, hidden: int, qkv_bias: bool, init_values: float, factory: Factory
    ) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(channels, eps=1e-6, **factory)
        self.query = nn.Linear(channels, channels, bias=qkv_bias, **factory)
        self.key_value = nn.Linear(channels, 2 * channels, bias=qkv_bias, **factory)
        self.project = nn.Linear(channels, channels, **factory)
        self.norm2 = nn.LayerNorm(channels, eps=1e-6, **factory)
        self.mlp = nn.Sequential(
            nn.Linear(channels, hidden, **factory), nn.GELU(), nn.Linear(hidden, channels, **factory)
        )
        self.gamma1 = nn.Parameter(torch.full((channels,), init_values, **factory))
        self.gamma2 = nn.Parameter(torch.full((channels,), init_values, **factory))
        self.map = AttentionMap("pairwise")

    def forward(self, token: Tensor, positions: Tensor, size: tuple[int, int]) -> Tensor:
        """Returns the next class token (B, 1, C)."""
        both = self.norm1(torch.cat([token, positions], 1))
        query = self.query(both[:, :1])
        key, value = self.key_value(both).chunk(2, 2)
        parts = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in (query, key, value))
        mixed = attend(*parts, observe=self.map.over(size, ahead=1)).transpose(1, 2).flatten(2)
        token = token + self.gamma1 * self.project(mixed)
        return token + self.gamma2 * self.mlp(self.norm2(token))
