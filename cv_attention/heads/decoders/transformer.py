"""A causal Transformer decoder (Vaswani et al., NeurIPS 2017), https://arxiv.org/abs/1706.03762."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from cv_attention.blocks.memory import Memory
from cv_attention.heads.decoders.decoder import Decoded, Decoder
from cv_attention.heads.decoders.layers import DecoderLayer, check_layers, check_length, over_vectors
from cv_attention.heads.decoders.positions import Position, Positions


class _State(NamedTuple):
    memory: Tensor  # keys and values of the memory for each layer, (B, layers, 2, heads, N, d)
    keep: Tensor | None
    past: Tensor  # keys and values of the text so far, (B, layers, 2, heads, t, d)


class TransformerDecoder(Decoder):
    """Writes a text with a causal Transformer decoder, normalised before each part.

    Paper: Attention is all you need (Vaswani et al., NeurIPS 2017), https://arxiv.org/abs/1706.03762; norms before each
    part as in Xiong et al., ICML 2020, https://arxiv.org/abs/2002.04745.

    Each layer computes ``x = x + MHA(LN(x), earlier steps)``, ``x = x + MHA(LN(x), memory)`` and
    ``x = x + MLP(LN(x))``; a last norm comes before the logits. Reading keeps the keys and values of earlier steps.

    Map: `map`, `pairwise`, (B, heads, steps, H, W): the last layer's weights of the memory; each step's sum to 1.

    Args:
        channels: Channels C of the memory.
        outputs: Numbers that can be written.
        longest: Units of the longest text.
        grid: Rows and columns of the memory, for learned positions.
        width: Length of the vectors.
        heads: Number of heads.
        layers: Number of layers.
        mlp_ratio: Width of the MLP's hidden layer divided by `width`.
        dropout: Share of the numbers that training drops, in [0, 1).
        position: Encoding of the positions that is added to the memory: ``sine``, ``learned`` or ``none``.

    Raises:
        ValueError: if `width` is not divisible by `heads`, or a number is out of range.

    Examples:
        >>> import torch
        >>> from cv_attention.heads import Memory, TransformerDecoder
        >>> decoder, memory = TransformerDecoder(64, outputs=11, longest=5), Memory(torch.randn(2, 12, 64), (3, 4))
        >>> decoder(memory, torch.tensor([[3, 1, 0], [7, 0, 12]])).shape
        torch.Size([2, 3, 11])
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
        layers: int = 2,
        mlp_ratio: float = 4.0,
        dropout: float = 0.0,
        position: Position = "sine",
    ) -> None:
        super().__init__(channels, outputs, longest)
        check_layers(width, heads, layers, mlp_ratio, dropout)
        self.heads, self.depth = heads, width // heads
        self.positions = Positions(channels, position, grid)
        self.embedding = nn.Embedding(outputs + 2, width, padding_idx=self.padding)
        self.steps = nn.Parameter(torch.randn(longest + 1, width) * 0.02)
        self.layers = nn.ModuleList(DecoderLayer(width, channels, heads, mlp_ratio, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, outputs)
        nn.init.normal_(self.embedding.weight, std=0.02)

    def start(self, memory: Memory) -> _State:
        """Returns the state before the first step: keys and values of the memory, and none of the text."""
        memory = self.positions(memory)
        stacked = torch.stack([layer.cross.keys_and_values(memory.values) for layer in self.layers], 1)  # pyright: ignore[reportAttributeAccessIssue, reportCallIssue]
        past = stacked.new_zeros(stacked.shape[0], len(self.layers), 2, self.heads, 0, self.depth)
        return _State(stacked, over_vectors(memory.keep), past)

    def step(self, state: _State, token: Tensor) -> tuple[Tensor, _State, Tensor]:
        """Writes one number: logits (B, outputs), the next state, and the last layer's weights (B, heads, N)."""
        x = self._embedded(token[:, None], state.past.shape[4])
        logits, weights, past = self._run(x, state, None, seen=True)
        assert weights is not None
        return logits[:, 0], state._replace(past=past), weights[:, :, 0]

    def decode(self, memory: Memory, tokens: Tensor) -> Decoded:
        """Computes all steps for a given text at once: each sees the numbers before it."""
        length = tokens.shape[1]
        check_length(tokens, self.longest)
        state = self.start(memory)
        causal = torch.ones(length, length, dtype=torch.bool, device=tokens.device).tril()
        logits, weights, _ = self._run(self._embedded(self.inputs(tokens), 0), state, causal, seen=self.observed)
        return Decoded(logits, weights)

    def _embedded(self, tokens: Tensor, first: int) -> Tensor:
        return self.embedding(tokens) + self.steps[first : first + tokens.shape[1]]

    def _run(
        self, x: Tensor, state: _State, mask: Tensor | None, *, seen: bool
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        """Returns logits (B, T, outputs), the last layer's weights, and keys and values of the text up to here."""
        past, weights, last = [], None, len(self.layers) - 1
        for index, layer in enumerate(self.layers):
            normed = layer.norm1(x)  # pyright: ignore[reportCallIssue]
            own = torch.cat([state.past[:, index], layer.own.keys_and_values(normed)], 3)  # pyright: ignore[reportAttributeAccessIssue, reportCallIssue]
            found, _ = layer.own(normed, own, mask, seen=False)  # pyright: ignore[reportCallIssue]
            x = x + layer.dropout(found)  # pyright: ignore[reportCallIssue]
            x, weights = layer.read(x, state.memory[:, index], state.keep, seen=seen and index == last)  # pyright: ignore[reportCallIssue, reportAttributeAccessIssue]
            past.append(own)
        return self.output(self.norm(x)), weights, torch.stack(past, 1)
