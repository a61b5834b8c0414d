"""GATv2: how attentive are graph attention networks? (Brody et al., ICLR 2022), https://arxiv.org/abs/2105.14491."""

import torch
from torch import Tensor, nn

from cv_attention.blocks.base import Factory, zero
from cv_attention.blocks.functional.half_precision import widened, without_autocast
from cv_attention.blocks.functional.layout import project
from cv_attention.blocks.graph.edge_attention import EdgeAttention
from cv_attention.blocks.graph.grid import compare, leaky_products


class GraphAttentionV2(EdgeAttention):
    """Attends to the neighbours on the grid: ``sum_j softmax_j(a · LeakyReLU(W_l x_j + W_r x_i)) W_l x_j + b``.

    Paper: GATv2 (Brody et al., ICLR 2022), https://arxiv.org/abs/2105.14491.

    j runs over the 4 or 8 neighbours of position i and, with `self_loops`, over i itself. Unlike in `GraphAttention`,
    the nonlinearity stands between a and the sum, so that each query may rank the keys in an order of its own
    ("dynamic" attention), at about twice the time. The paper's ELU between layers is not part of the block. One block
    reaches the next neighbours: two positions n steps apart need n blocks. The cost is linear in H*W.

    `on` runs the same weights on the nodes and edges of any graph.

    Map: `pairwise` in windows of 3 x 3, (B, heads, H*W, 3, 3), zeros where there is no edge; `dense` puts them on the
    grid, where they sum to 1. `on` passes `edge_map`, `alignment`, (B, heads, N, N).

    Args:
        channels: Channels C of the input.
        heads: Number of heads.
        neighbours: 4, those that share an edge, or 8, those that share a corner too.
        self_loops: Whether a position attends to itself, too.
        average: Whether each head has C channels and heads are averaged, as in the papers' last layers, rather than
            C / heads channels each, concatenated.
        negative_slope: Slope of the LeakyReLU below 0.
        drop_rate: Chance, in [0, 1), that training leaves a weight out, and scales the others up.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if `channels` is not divisible by `heads`, or an argument is not in its range.

    Examples:
        >>> import torch
        >>> from cv_attention import blocks
        >>> block = blocks.GraphAttentionV2(64, heads=4, neighbours=4)
        >>> block(torch.randn(2, 64, 14, 14)).shape
        torch.Size([2, 64, 14, 14])
        >>> edges = torch.tensor([[0, 1, 2], [1, 2, 0]])  # any graph: each column from a node to one that attends to it
        >>> block.on(torch.randn(3, 64), edges).shape
        torch.Size([3, 64])
    """

    def _make(self, channels: int, factory: Factory) -> None:
        """Creates the projections of keys (the values, too) and queries, and a vector for each head."""
        self.value = nn.Linear(channels, self.heads * self.depth, **factory)
        self.query = nn.Linear(channels, self.heads * self.depth, **factory)
        self.attention = nn.Parameter(torch.empty(self.heads, self.depth, **factory))
        for layer in (self.value, self.query):
            nn.init.xavier_uniform_(layer.weight)
            zero(layer.bias)
        nn.init.xavier_uniform_(self.attention)

    def _terms(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Computes the values (B, heads * d, H, W) of `x` (B, C, H, W), and the terms W_r x and W_l x of a score."""
        values = project(x, self.value)
        by_head = (self.heads, -1)
        return values, project(x, self.query).unflatten(1, by_head), values.unflatten(1, by_head)

    def _score(self, total: Tensor) -> Tensor:
        """Computes the scores (B, heads, ...) from `total` (B, heads, d, ...), the sums of both terms."""
        with without_autocast(total):
            return leaky_products(total, widened(self.attention), self.negative_slope)

    def _scores_of_neighbours(self, of_query: Tensor, of_key: Tensor) -> Tensor:
        """Computes the scores (B, heads, steps, H, W) of the neighbours from both terms (B, heads, d, H, W)."""
        with without_autocast(of_query):
            return compare(of_query, of_key, widened(self.attention), self.negative_slope, self.steps)
