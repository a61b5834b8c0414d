"""Attends along edges: to the neighbours on a grid, without gathering, and to those of any graph."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cv_attention.blocks.base import (
    AttentionMap,
    Block,
    Device,
    Dtype,
    Factory,
    check_choice,
    check_divisible,
    check_number,
    zero,
)
from cv_attention.blocks.functional.graph import mix_over_edges, prepared_edges, softmax_over_edges
from cv_attention.blocks.functional.layout import laid_out_as
from cv_attention.blocks.graph.grid import mix, offsets, shifted, visible
from cv_attention.blocks.windows import Surroundings


class EdgeAttention(Block):
    """Base class of graph attention blocks: their arguments, softmax, maps and sums, but for the score of an edge.

    A subclass documents the arguments, and implements `_make`, `_terms` and `_score`.
    """

    value: nn.Linear

    def __init__(
        self,
        channels: int,
        *,
        heads: int = 4,
        neighbours: Literal[4, 8] = 8,
        self_loops: bool = True,
        average: bool = False,
        negative_slope: float = 0.2,
        drop_rate: float = 0.0,
        device: Device = None,
        dtype: Dtype = None,
    ) -> None:
        super().__init__()
        check_divisible(channels=channels, heads=heads)
        check_choice("neighbours", neighbours, (4, 8))
        check_number(negative_slope=negative_slope, drop_rate=drop_rate)
        if not 0 <= drop_rate < 1:
            raise ValueError(f"drop_rate must lie in [0, 1), got drop_rate={drop_rate!r}")
        self.heads, self.self_loops, self.average = heads, self_loops, average
        self.negative_slope, self.drop_rate = negative_slope, drop_rate
        self.depth = channels if average else channels // heads
        self.steps = offsets(neighbours, self_loops)
        self._make(channels, {"device": device, "dtype": dtype})
        self.bias = nn.Parameter(torch.zeros(channels, device=device, dtype=dtype))
        self.map, self.edge_map = Surroundings(3), AttentionMap("alignment")

    def _make(self, channels: int, factory: Factory) -> None:
        """Creates the layers, among them `value`, from `channels` to heads * depth."""
        raise NotImplementedError

    def _terms(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Computes the values (B, heads * d, H, W) of `x` (B, C, H, W), and what query and key add to their score.

        These two are (B, heads, q, H, W), of any q.
        """
        raise NotImplementedError

    def _score(self, total: Tensor) -> Tensor:
        """Computes the scores (B, heads, ...) from `total` (B, heads, q, ...), the sums of query and key."""
        raise NotImplementedError

    def _scores_of_neighbours(self, of_query: Tensor, of_key: Tensor) -> Tensor:
        """Computes the scores (B, heads, steps, H, W) of the neighbours from both terms (B, heads, q, H, W)."""
        padded = F.pad(of_key.flatten(1, 2), (1, 1, 1, 1)).unflatten(1, of_key.shape[1:3])
        return torch.stack([self._score(of_query + shifted(padded, step)) for step in self.steps], 2)

    def start_as_identity(self) -> None:
        """Zeroes the values: the block returns zeros, to be added to its input."""
        zero(self.value)

    def forward(self, x: Tensor) -> Tensor:
        """Mixes the neighbours in `x` (B, C, H, W); keeps shape and memory format."""
        values, of_query, of_key = self._terms(x)
        scores = self._scores_of_neighbours(of_query, of_key)
        seen = visible(x.shape[2], x.shape[3], self.steps, x.device)
        weights = scores.masked_fill(~seen, float("-inf")).softmax(2)
        if x.shape[2] * x.shape[3] == 1 and not self.self_loops:
            weights = torch.zeros_like(weights)  # a single position without an edge
        weights = F.dropout(self._seen(weights), self.drop_rate, self.training)
        return self._joined(mix(values, weights.to(values.dtype), self.steps))

    def _seen(self, weights: Tensor) -> Tensor:
        """Shows `weights` (B, heads, steps, H, W) in windows of 3 x 3."""
        if not self.map.observed:
            return weights
        places = [3 * (1 + down) + 1 + right for down, right in self.steps]
        windows = weights.new_zeros(*weights.shape[:2], 9, *weights.shape[3:])
        windows[:, :, places] = weights
        return self.map(windows.permute(0, 1, 3, 4, 2).unflatten(4, (3, 3))).flatten(4)[..., places].movedim(4, 2)

    def _joined(self, mixed: Tensor) -> Tensor:
        if self.average:
            mixed = laid_out_as(mixed.unflatten(1, (self.heads, -1)).mean(1), mixed)
        return mixed + self.bias.to(mixed.dtype)[:, None, None]

    def on(self, nodes: Tensor, edges: Tensor) -> Tensor:
        """Runs the block on any graph.

        Args:
            nodes: (N, C), or (B, N, C) of several graphs with the same edges.
            edges: (2, E) whole numbers, each column from a node to one that attends to it, as in PyTorch Geometric.
                With `self_loops` each node attends to itself, too; otherwise only where an edge says so.

        Returns:
            The shape of `nodes`.

        Raises:
            ValueError: if a shape is another one, or an edge names a node that does not exist.
        """
        if nodes.dim() not in (2, 3):
            raise ValueError(f"nodes must be (N, C) or (B, N, C), got shape {tuple(nodes.shape)}")
        count = nodes.shape[-2]
        values, of_query, of_key = self._terms(nodes.reshape(-1, *nodes.shape[-2:]).transpose(1, 2)[..., None])
        source, target = edges = prepared_edges(edges, count, self_loops=self.self_loops)
        scores = self._score(of_query[..., target, 0] + of_key[..., source, 0])
        weights = softmax_over_edges(scores, target, count)
        if self.edge_map.observed:
            whole = weights.new_zeros(*weights.shape[:2], count, count)
            whole[..., target, source] = weights
            weights = self.edge_map(whole)[..., target, source]
        weights = F.dropout(weights, self.drop_rate, self.training)
        mixed = mix_over_edges(values[..., 0].unflatten(1, (self.heads, -1)), weights, edges)
        return self._joined(mixed.flatten(1, 2)[..., None])[..., 0].transpose(1, 2).reshape(nodes.shape)
