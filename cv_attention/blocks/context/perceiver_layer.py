"""The attention layer of which Perceiver is made (Jaegle et al., ICML 2021), https://arxiv.org/abs/2103.03206."""

import torch
from torch import Tensor, nn

from cv_attention.blocks.base import (
    AttentionMap,
    Device,
    Dtype,
    Factory,
    MapKind,
    check_divisible,
    check_positive,
    check_whole,
)
from cv_attention.blocks.functional.attention import attend


class CrossAttention(nn.Module):
    """Lets queries read inputs: ``W_o MHA(LN(z), LN(inputs))``, without a residual connection.

    Args:
        width: Channels of the queries.
        input_width: Channels of the inputs; None: the queries attend to themselves, behind one norm.
        heads: Number of heads, of which each has ``attention_width / heads`` channels.
        attention_width: Channels of queries, keys and values in all heads; None takes `width`.
        output_width: Channels of the result; None takes `width`.
        kind: Kind of its attention map.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.
    """

    def __init__(
        self,
        width: int,
        input_width: int | None,
        heads: int,
        attention_width: int | None = None,
        output_width: int | None = None,
        kind: MapKind = "alignment",
        device: Device = None,
        dtype: Dtype = None,
    ) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        attention_width = width if attention_width is None else attention_width
        check_divisible(width=attention_width, heads=heads)
        self.heads = heads
        self.norm = nn.LayerNorm(width, **factory)
        self.norm_input = None if input_width is None else nn.LayerNorm(input_width, **factory)
        self.query = nn.Linear(width, attention_width, **factory)
        self.key_value = nn.Linear(width if input_width is None else input_width, 2 * attention_width, **factory)
        self.project = nn.Linear(attention_width, width if output_width is None else output_width, **factory)
        self.map = AttentionMap(kind)

    def forward(
        self, z: Tensor, inputs: Tensor | None = None, size: tuple[int, ...] | None = None, bias: Tensor | None = None
    ) -> Tensor:
        """Reads for `z`, (B, n, width) or (1, n, width) for all samples, from `inputs` (B, N, input_width).

        `size` is the grid (H, W) of a ``pairwise`` map; `bias`, broadcast to (B, heads, n, N), hides inputs by -inf.
        """
        z = self.norm(z)
        inputs = z if inputs is None or self.norm_input is None else self.norm_input(inputs)
        key, value = self.key_value(inputs).chunk(2, 2)
        query = self.query(z).expand(len(key), -1, -1)
        parts = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in (query, key, value))
        if size is not None and len(size) == 2:
            observe = self.map.over((size[0], size[1]))
        else:
            observe = self.map if self.map.observed else None
        mixed = attend(*parts, bias=bias, observe=observe)
        return self.project(mixed.transpose(1, 2).flatten(2))


class PerceiverLayer(nn.Module):
    """Lets latents read inputs or each other, then think: ``z + MHA(LN(z), LN(inputs))``, then ``z + MLP(LN(z))``.

    Args:
        width: Channels of the latents.
        input_width: Channels of the inputs; None: the latents attend to each other.
        heads: Number of heads.
        mlp_ratio: Width of the MLP's hidden layer divided by `width`; the paper's is 1.
        kind: Kind of its attention map.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.
    """

    def __init__(
        self,
        width: int,
        input_width: int | None,
        heads: int,
        mlp_ratio: float = 1.0,
        kind: MapKind = "alignment",
        device: Device = None,
        dtype: Dtype = None,
    ) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        check_whole(width=width)
        check_positive(mlp_ratio=mlp_ratio)
        self.attention = CrossAttention(width, input_width, heads, kind=kind, **factory)
        self.norm = nn.LayerNorm(width, **factory)
        hidden = max(int(width * mlp_ratio), 1)
        self.mlp = nn.Sequential(nn.Linear(width, hidden, **factory), nn.GELU(), nn.Linear(hidden, width, **factory))

    def forward(
        self, z: Tensor, inputs: Tensor | None = None, size: tuple[int, ...] | None = None, bias: Tensor | None = None
    ) -> Tensor:
        """Returns z (B, n, width) after both steps; `z`, `inputs`, `size` and `bias` are those of `CrossAttention`."""
        z = z + self.attention(z, inputs, size, bias)
        return z + self.mlp(self.norm(z))


def new_latents(count: int, width: int, factory: Factory) -> nn.Parameter:
    """Creates latents (1, count, width), drawn from a normal distribution of deviation 0.02, cut off at 2."""
    check_whole(latents=count, width=width)
    latents = nn.Parameter(torch.empty(1, count, width, **factory))
    nn.init.trunc_normal_(latents, std=0.02, a=-2.0, b=2.0)
    return latents
