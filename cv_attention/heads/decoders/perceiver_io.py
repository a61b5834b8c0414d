"""Perceiver IO's decoder for texts: a learned query for every step reads the memory once."""

import torch
from torch import Tensor, nn

from cv_attention.blocks.memory import Memory
from cv_attention.heads.decoders.decoder import Decoded, Decoder
from cv_attention.heads.decoders.layers import check_length
from cv_attention.heads.decoders.positions import Position, Positions
from cv_attention.heads.decoders.queries import Written
from cv_attention.heads.output_queries import QueryReader


class PerceiverIODecoder(Decoder):
    """Writes all steps at once by Perceiver IO's decoder: one cross-attention to the normalised memory, and an MLP.

    Paper: Perceiver IO (Jaegle et al., ICLR 2022), section 3, https://arxiv.org/abs/2107.14795.

    `QueriesDecoder` has several layers and takes the memory as it is; this is the paper's one layer. For other outputs
    than texts see `OutputQueries`.

    Map: `map`, `pairwise`, (B, heads, steps, H, W): each step's weights of the memory, which sum to 1.

    Args:
        channels: Channels C of the memory.
        outputs: Numbers that can be written.
        longest: Units of the longest text.
        grid: Rows and columns of the memory, for learned positions.
        width: Length of a query.
        heads: Number of heads.
        mlp_ratio: Width of the MLP's hidden layer divided by `width`; the paper's is 1.
        residual: Whether the query is added to what it reads.
        position: Encoding of the positions that is added to the memory: ``sine``, ``learned`` or ``none``.

    Raises:
        ValueError: if `width` is not divisible by `heads`, or a number is out of range.

    Examples:
        >>> import torch
        >>> from cv_attention.heads import Memory, PerceiverIODecoder
        >>> PerceiverIODecoder(64, outputs=11, longest=5)(Memory(torch.randn(2, 12, 64), (3, 4))).shape
        torch.Size([2, 6, 11])
    """

    def __init__(
        self,
        channels: int,
        outputs: int,
        longest: int,
        grid: tuple[int, int] = (8, 32),
        *,
        width: int = 128,
        heads: int = 4,
        mlp_ratio: float = 1.0,
        residual: bool = True,
        position: Position = "sine",
    ) -> None:
        super().__init__(channels, outputs, longest)
        self.reader = QueryReader(channels, width, heads, mlp_ratio, residual)
        self.positions = Positions(channels, position, grid)
        self.steps = nn.Parameter(torch.randn(longest + 1, width) * 0.02)
        self.output = nn.Linear(width, outputs)

    def start(self, memory: Memory) -> Written:
        """Computes all steps."""
        logits, weights = self._run(memory, len(self.steps), seen=True)
        assert weights is not None
        return Written(logits, weights, 0)

    def step(self, state: Written, token: Tensor) -> tuple[Tensor, Written, Tensor]:
        """Returns the next step: logits (B, outputs), the next state, and weights (B, heads, N)."""
        return state.step()

    def decode(self, memory: Memory, tokens: Tensor) -> Decoded:
        """Computes as many steps as `tokens` (B, T) have; which numbers these are makes no difference."""
        check_length(tokens, self.longest)
        return self._run(memory, tokens.shape[1], seen=self.observed)

    def _run(self, memory: Memory, steps: int, *, seen: bool) -> Decoded:
        memory = self.positions(memory)
        queries = self.steps[None, :steps].expand(memory.values.shape[0], -1, -1)
        found, weights = self.reader(memory, queries, seen=seen)
        return Decoded(self.output(found), weights)
