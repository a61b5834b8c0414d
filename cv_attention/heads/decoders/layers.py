"""Layers of decoders by attention alone: a query attends to a memory, with or without a stream of texts."""

import torch
from torch import Tensor, nn

from cv_attention.blocks.base import check_divisible, check_positive, check_whole
from cv_attention.blocks.functional.attention import attend, attention_weights
from cv_attention.heads.decoders.decoder import check_dropout


class Attention(nn.Module):
    """Multi-head attention whose keys and values can be computed once and used at every step.

    Args:
        width: Length of queries.
        channels: Length of the vectors that are attended to.
        heads: Number of heads.
    """

    def __init__(self, width: int, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(channels, 2 * width)
        self.project = nn.Linear(width, width)

    def keys_and_values(self, vectors: Tensor) -> Tensor:
        """Computes keys and values of vectors (B, N, channels): (B, 2, heads, N, d)."""
        return self.key_value(vectors).unflatten(2, (2, self.heads, -1)).permute(0, 2, 3, 1, 4)

    def forward(
        self, queries: Tensor, keys_and_values: Tensor, mask: Tensor | None, *, seen: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Attends.

        Args:
            queries: (B, Q, width).
            keys_and_values: (B, 2, heads, N, d), see the method of this name.
            mask: True where a query sees a key, broadcastable to (B, heads, Q, N); None where all see all.
            seen: Whether the weights are asked for.

        Returns:
            (B, Q, width), and weights (B, heads, Q, N) or None.
        """
        query = self.query(queries).unflatten(2, (self.heads, -1)).transpose(1, 2)
        key, value = keys_and_values.unbind(1)
        weights = None
        if seen:
            weights = attention_weights(query, key, attn_mask=mask)
            mixed = weights.to(value.dtype) @ value
        else:
            bias = None if mask is None else torch.zeros_like(mask, dtype=query.dtype).masked_fill(~mask, -torch.inf)
            mixed = attend(query, key, value, bias=bias)
        return self.project(mixed.transpose(1, 2).flatten(2)), weights


class DecoderLayer(nn.Module):
    """A pre-norm layer: attention to the texts, attention to the memory, and an MLP.

    With ``own=False`` the first is left out.

    Args:
        width: Length of the vectors.
        channels: Channels of the memory.
        heads: Number of heads.
        mlp_ratio: Width of the MLP's hidden layer divided by `width`.
        dropout: Share of the numbers that training drops from what each part adds.
        own: Whether there is attention to the texts.
    """

    def __init__(
        self, width: int, channels: int, heads: int, mlp_ratio: float, dropout: float, *, own: bool = True
    ) -> None:
        super().__init__()
        hidden = max(int(width * mlp_ratio), 1)
        self.norm1 = nn.LayerNorm(width) if own else None
        self.own = Attention(width, width, heads) if own else None
        self.norm2 = nn.LayerNorm(width)
        self.cross = Attention(width, channels, heads)
        self.norm3 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, width))
        self.dropout = nn.Dropout(dropout)

    def read(self, x: Tensor, memory: Tensor, keep: Tensor | None, *, seen: bool) -> tuple[Tensor, Tensor | None]:
        """Adds what `x` (B, T, width) reads from the memory, and the MLP.

        Args:
            x: The vectors so far.
            memory: Keys and values of the memory.
            keep: Which of its vectors are real, (B, 1, 1, N), or None.
            seen: Whether the weights are asked for.

        Returns:
            (B, T, width), and weights (B, heads, T, N) or None.
        """
        found, weights = self.cross(self.norm2(x), memory, keep, seen=seen)
        x = x + self.dropout(found)
        return x + self.dropout(self.mlp(self.norm3(x))), weights


def over_vectors(keep: Tensor | None) -> Tensor | None:
    """Returns which vectors of a memory are real as a mask (B, 1, 1, N)."""
    return None if keep is None else keep[:, None, None]


def check_layers(width: int, heads: int, layers: int, mlp_ratio: float, dropout: float) -> None:
    """Raises ValueError unless decoder layers can be made with these options, of which it names the first wrong one."""
    check_whole(width=width, heads=heads, layers=layers)
    check_divisible(width=width, heads=heads)
    check_positive(mlp_ratio=mlp_ratio)
    check_dropout(dropout)


def check_length(tokens: Tensor, longest: int) -> None:
    """Raises ValueError where texts (B, T), their ends counted, are longer than a decoder knows."""
    if tokens.shape[1] > longest + 1:
        raise ValueError(f"a text has {tokens.shape[1] - 1} units, but the longest that this head writes has {longest}")
