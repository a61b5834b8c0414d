"""Parallel decoding: a learned query for every step reads the memory, all at once."""

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from cv_attention.blocks.memory import Memory
from cv_attention.heads.decoders.decoder import Decoded, Decoder
from cv_attention.heads.decoders.layers import DecoderLayer, check_layers, check_length, over_vectors
from cv_attention.heads.decoders.positions import Position, Positions


class Written(NamedTuple):
    """State of a decoder that has computed all steps already.

    Attributes:
        logits: (B, T, outputs).
        weights: (B, heads, T, N).
        place: Number of the next step.
    """

    logits: Tensor
    weights: Tensor
    place: int

    def step(self) -> tuple[Tensor, "Written", Tensor]:
        """Returns logits and weights of the next step, and the state behind it."""
        weights, place = self.weights, self.place
        return self.logits[:, place], self._replace(place=place + 1), weights[:, :, place]


class QueriesDecoder(Decoder):
    """Writes all steps at once: each has a learned query that attends to the memory, and sees no other step.

    Paper: the output queries of Perceiver IO (Jaegle et al., ICLR 2022), https://arxiv.org/abs/2107.14795; for reading,
    parallel visual attention (Yu et al., CVPR 2020), https://arxiv.org/abs/2003.12294.

    Map: `map`, `pairwise`, (B, heads, steps, H, W): the last layer's weights of the memory; each step's sum to 1.

    Args:
        channels: Channels C of the memory.
        outputs: Numbers that can be written.
        longest: Units of the longest text.
        grid: Rows and columns of the memory, for learned positions.
        width: Length of the vectors.
        heads: Number of heads.
        layers: Number of layers of attention to the memory and MLP.
        mlp_ratio: Width of the MLP's hidden layer divided by `width`.
        dropout: Share of the numbers that training drops, in [0, 1).
        position: Encoding of the positions that is added to the memory: ``sine``, ``learned`` or ``none``.

    Raises:
        ValueError: if `width` is not divisible by `heads`, or a number is out of range.

    Examples:
        >>> import torch
        >>> from cv_attention.heads import Memory, QueriesDecoder
        >>> QueriesDecoder(64, outputs=11, longest=5)(Memory(torch.randn(2, 12, 64), (3, 4))).shape
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
        layers: int = 1,
        mlp_ratio: float = 4.0,
        dropout: float = 0.0,
        position: Position = "sine",
    ) -> None:
        super().__init__(channels, outputs, longest)
        check_layers(width, heads, layers, mlp_ratio, dropout)
        self.positions = Positions(channels, position, grid)
        self.steps = nn.Parameter(torch.randn(longest + 1, width) * 0.02)
        self.layers = nn.ModuleList(
            DecoderLayer(width, channels, heads, mlp_ratio, dropout, own=False) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)
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
        x, weights = self.steps[None, :steps].expand(memory.values.shape[0], -1, -1), None
        for layer in cast(list[DecoderLayer], list(self.layers)):
            keys_and_values = layer.cross.keys_and_values(memory.values)
            x, weights = layer.read(x, keys_and_values, over_vectors(memory.keep), seen=seen)
        return Decoded(self.output(self.norm(x)), weights)
