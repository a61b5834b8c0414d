"""Perceiver IO's decoder: any number of queries read a memory (Jaegle et al., 2021), https://arxiv.org/abs/2107.14795."""

from torch import Tensor, nn

from cv_attention.blocks.base import AttentionMap, check_divisible, check_positive, check_whole
from cv_attention.blocks.memory import Memory
from cv_attention.heads.decoders.layers import Attention, over_vectors


class QueryReader(nn.Module):
    """Lets queries read a memory: ``y = MHA(LN(q), LN(memory))``, then ``y + MLP(LN(y))``.

    Args:
        channels: Channels C of the memory.
        width: Length of a query.
        heads: Number of heads.
        mlp_ratio: Width of the MLP's hidden layer divided by `width`.
        residual: Whether the query is added to y.
    """

    def __init__(self, channels: int, width: int, heads: int, mlp_ratio: float, residual: bool) -> None:
        super().__init__()
        check_whole(channels=channels, width=width)
        check_divisible(width=width, heads=heads)
        check_positive(mlp_ratio=mlp_ratio)
        self.residual = residual
        self.norm_query, self.norm_memory = nn.LayerNorm(width), nn.LayerNorm(channels)
        self.attention = Attention(width, channels, heads)
        self.norm = nn.LayerNorm(width)
        hidden = max(int(width * mlp_ratio), 1)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))

    def forward(self, memory: Memory, queries: Tensor, *, seen: bool) -> tuple[Tensor, Tensor | None]:
        """Returns what `queries` (B, Q, width) read, (B, Q, width), and if `seen` weights (B, heads, Q, N), or None."""
        keys_and_values = self.attention.keys_and_values(self.norm_memory(memory.values))
        mask = over_vectors(memory.keep)
        y, weights = self.attention(self.norm_query(queries), keys_and_values, mask, seen=seen)
        y = y + queries if self.residual else y
        return y + self.mlp(self.norm(y)), weights


class OutputQueries(nn.Module):
    """Makes an output for each query from what it reads in a memory: for a class, a pixel, a frame or a point.

    Paper: Perceiver IO (Jaegle et al., ICLR 2022), section 3, https://arxiv.org/abs/2107.14795.

    ``y = MHA(LN(q), LN(memory))``, plus q where `residual` is set; then ``y + MLP(LN(y))``, and a linear layer. A query
    says what is wanted: a learned vector, or the Fourier features of a position at which something is to be predicted.
    Queries do not see each other, so the cost is linear in their number. The head of this kind that writes texts is
    `PerceiverIODecoder`.

    Map: `map`, `pairwise`, (B, heads, queries, H, W); a memory without a grid is one row.

    Args:
        channels: Channels C of the memory.
        outputs: Numbers of each query's output.
        width: Length of a query.
        heads: Number of heads.
        mlp_ratio: Width of the MLP's hidden layer divided by `width`.
        residual: Whether the query is added to what it reads; the paper leaves it out where outputs are classes.

    Raises:
        ValueError: if the width is not divisible by `heads`, or a number is out of its range; from the forward, if
            queries have another length.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import functional
        >>> from cv_attention.heads import Memory, OutputQueries
        >>> memory = Memory(torch.randn(2, 32, 64))  # such as the latents of a perceiver
        >>> places = functional.grid_positions(20, 30)
        >>> queries = functional.fourier_features(places, bands=8, resolution=(20, 30))
        >>> head = OutputQueries(64, outputs=5, width=queries.shape[1])
        >>> head(memory, queries).shape  # five numbers at each of 20 x 30 positions
        torch.Size([2, 600, 5])
    """

    def __init__(
        self,
        channels: int,
        outputs: int,
        width: int,
        *,
        heads: int = 1,
        mlp_ratio: float = 1.0,
        residual: bool = False,
    ) -> None:
        super().__init__()
        check_whole(outputs=outputs)
        self.width = width
        self.reader = QueryReader(channels, width, heads, mlp_ratio, residual)
        self.output = nn.Linear(width, outputs)
        self.map = AttentionMap("pairwise")

    def forward(self, memory: Memory, queries: Tensor) -> Tensor:
        """Reads a memory.

        Args:
            memory: B samples; what its `keep` leaves out has no influence.
            queries: (B, Q, width), or (Q, width) for all samples.

        Returns:
            (B, Q, outputs).
        """
        memory.check()
        batch, count = memory.values.shape[:2]
        if queries.dim() not in (2, 3) or queries.shape[-1] != self.width:
            got = tuple(queries.shape)
            raise ValueError(f"queries must be (Q, {self.width}) or (B, Q, {self.width}), got shape {got}")
        queries = queries.expand(batch, -1, -1)
        found, weights = self.reader(memory, queries, seen=self.map.observed)
        if weights is not None:
            self.map(weights.unflatten(-1, memory.grid or (1, count)))
        return self.output(found)
