"""Graph attention networks (Veličković et al., ICLR 2018), https://arxiv.org/abs/1710.10903."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cv_attention.blocks.base import Factory
from cv_attention.blocks.functional.half_precision import widened, without_autocast
from cv_attention.blocks.functional.layout import project
from cv_attention.blocks.graph.edge_attention import EdgeAttention


class GraphAttention(EdgeAttention):
    """Attends to the neighbours on the grid: ``sum_j softmax_j(LeakyReLU(a · [W x_i, W x_j])) W x_j + b``.

    Paper: graph attention networks (Veličković et al., ICLR 2018), https://arxiv.org/abs/1710.10903.

    j runs over the 4 or 8 neighbours of position i and, with `self_loops`, over i itself. The score is a sum of one
    number of i and one of j, so that all queries rank their keys alike ("static" attention, Brody et al. 2022);
    `GraphAttentionV2` does not. The paper's ELU between layers is not part of the block. One block reaches the next
    neighbours: two positions n steps apart need n blocks. The cost is linear in H*W.

    `on` runs the same weights on the nodes and edges of any graph.

    Map: `pairwise` in windows of 3 x 3, (B, heads, H*W, 3, 3), zeros where there is no edge; `dense` puts them on the
    grid, where they sum to 1. `on` passes `edge_map`, `alignment`, (B, heads, N, N).

    Args:
        channels: Channels C of the input.
        heads: Number of heads.
        neighbours: 4, those that share an edge, or 8, those that share a corner too.
        self_loops: Whether a position attends to itself, too.
        average: Whether each head has C channels and heads are averaged, as in the paper's last layers, rather than
            C / heads channels each, concatenated.
        negative_slope: Slope of the LeakyReLU below 0.
        drop_rate: Chance, in [0, 1), that training leaves a weight out, and scales the others up.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if `channels` is not divisible by `heads`, or an argument is not in its range.

    Examples:
        >>> import torch
        >>> from cv_attention import blocks, record
        >>> block = blocks.GraphAttention(64, heads=4)
        >>> with record(block) as maps:
        ...     print(block(torch.randn(2, 64, 14, 14)).shape)
        torch.Size([2, 64, 14, 14])
        >>> maps["map"].values.shape, maps["map"].dense().values.shape
        (torch.Size([2, 4, 196, 3, 3]), torch.Size([2, 4, 196, 14, 14]))
    """

    def _make(self, channels: int, factory: Factory) -> None:
        """Creates the projection and, for each head, a vector for the query and one for the key."""
        self.value = nn.Linear(channels, self.heads * self.depth, bias=False, **factory)
        self.attention = nn.Parameter(torch.empty(self.heads, 2, self.depth, **factory))
        nn.init.xavier_uniform_(self.value.weight)
        nn.init.xavier_uniform_(self.attention)

    def _terms(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Computes the values (B, heads * d, H, W) of `x` (B, C, H, W), and the terms a · [W x, 0] and a · [0, W x]."""
        values = project(x, self.value)
        with without_autocast(x):
            parts = widened(self.attention) @ widened(values).unflatten(1, (self.heads, -1)).flatten(3)
        of_query, of_key = parts.unflatten(3, x.shape[2:]).split(1, 2)
        return values, of_query, of_key

    def _score(self, total: Tensor) -> Tensor:
        """Computes the scores (B, heads, ...) from `total` (B, heads, q, ...), the sums of both terms."""
        return F.leaky_relu(total, self.negative_slope).squeeze(2)
