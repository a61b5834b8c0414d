"""Defines the base class of decoders: what reads a memory and writes a text, step by step."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from cv_attention.blocks.base import check_number
from cv_attention.blocks.memory import Memory
from cv_attention.heads.decoders.search import search
from cv_attention.heads.text_head import Found, TextHead


class Decoded(NamedTuple):
    """Holds the outputs of a decoder at each step.

    Attributes:
        logits: (B, T, outputs).
        weights: Attention weights (B, heads, T, N); None where nobody looks at them, or there are none.
    """

    logits: Tensor
    weights: Tensor | None = None


class Decoder(TextHead):
    """Base class of heads that write one number at each step.

    A subclass implements `start` and `step`, and `decode` where it is faster to compute all steps at once. A state is a
    NamedTuple; the first axis of all its tensors is the batch.

    Args:
        channels: Channels C of the memory.
        outputs: Numbers that can be written: the units of the alphabet and the end.
        longest: Units of the longest text; reading takes at most one step more.
        attends: Whether it has attention weights.

    Raises:
        ValueError: if a number is not a positive integer.

    Examples:
        >>> import torch
        >>> from typing import NamedTuple
        >>> from cv_attention import heads
        >>> class State(NamedTuple):
        ...     mean: torch.Tensor  # (B, C)
        >>> class Bigrams(heads.Decoder):  # knows the mean of the memory and the last number
        ...     def __init__(self, channels, outputs, longest, grid=(1, 1)):
        ...         super().__init__(channels, outputs, longest, attends=False)
        ...         self.embedding = torch.nn.Embedding(outputs + 2, channels)
        ...         self.output = torch.nn.Linear(channels, outputs)
        ...     def start(self, memory):
        ...         return State(memory.values.mean(1))
        ...     def step(self, state, token):
        ...         return self.output(state.mean + self.embedding(token)), state, None
        >>> memory = heads.Memory(torch.randn(2, 12, 8))
        >>> Bigrams(8, outputs=4, longest=3).read(memory, beams=2).tokens.shape[0]
        2
    """

    def start(self, memory: Memory) -> Any:
        """Returns the state before the first step.

        Args:
            memory: What is read, B samples.
        """
        raise NotImplementedError

    def step(self, state: Any, token: Tensor) -> tuple[Tensor, Any, Tensor | None]:
        """Writes one number.

        Args:
            state: What `start` or the last step returned.
            token: The number of the step before, int64 (B,).

        Returns:
            Logits (B, outputs), the next state, and weights (B, heads, N), or None without attention.
        """
        raise NotImplementedError

    def forward(self, memory: Memory, tokens: Tensor | None = None) -> Tensor:
        """Computes the logits (B, T, outputs) of every step.

        Args:
            memory: What is read.
            tokens: The text to write, (B, T): each step is told the right number of the step before. None reads
                freely, ``longest + 1`` steps: each step is told the likeliest number of the step before.
        """
        memory.check()
        logits, weights = self.free(memory) if tokens is None else self.decode(memory, tokens)
        self.show(weights, memory.grid)
        return logits

    def decode(self, memory: Memory, tokens: Tensor) -> Decoded:
        """Computes all steps for a given text, whose padding is an input like any other number.

        Args:
            memory: What is read.
            tokens: The text with its end, padded, (B, T).

        Returns:
            Logits (B, T, outputs), and weights (B, heads, T, N) where somebody looks at them.
        """
        state, logits, weights = self.start(memory), [], []
        for token in self.inputs(tokens).unbind(1):
            found, state, seen = self.step(state, token)
            logits.append(found)
            weights.append(seen)
        return Decoded(torch.stack(logits, 1), _stacked(weights))

    def free(self, memory: Memory) -> Decoded:
        """Computes ``longest + 1`` steps of `memory`, each told the likeliest number of the step before."""
        state, logits, weights = self.start(memory), [], []
        token = torch.full((memory.values.shape[0],), self.first, device=memory.values.device)
        for _ in range(self.longest + 1):
            found, state, seen = self.step(state, token)
            logits.append(found)
            weights.append(seen)
            token = found.argmax(1)
        return Decoded(torch.stack(logits, 1), _stacked(weights))

    def read(self, memory: Memory, *, beams: int = 1, length_penalty: float = 0.0) -> Found:
        """Reads freely, by greedy or beam search; the attention map is that of the text that is returned.

        Args:
            memory: What is read.
            beams: Number of texts that are followed at once; 1 takes the likeliest number of each step.
            length_penalty: α of ``score = log p / ((5 + length) / 6)^α`` by which texts are compared (Wu et al. 2016,
                https://arxiv.org/abs/1609.08144); 0 compares their probabilities.
        """
        found = search(self, memory, self.longest + 1, beams, length_penalty)
        self.show(found.weights, memory.grid)
        return found

    def inputs(self, tokens: Tensor) -> Tensor:
        """Returns what each step of `tokens` (B, T) is told: the start, then the number before."""
        return torch.cat([torch.full_like(tokens[:, :1], self.first), tokens[:, :-1]], 1)


def weigh(scores: Tensor, keep: Tensor | None) -> Tensor:
    """Computes the softmax of scores over the vectors that are not padding.

    Args:
        scores: (B, ..., N), float32 or wider.
        keep: bool (B, N), or None; padding gets exactly 0.

    Returns:
        Weights of the same shape, which sum to 1.
    """
    if keep is not None:
        keep = keep.view(keep.shape[0], *[1] * (scores.ndim - 2), -1)
        scores = scores.masked_fill(~keep, -torch.inf)
    return scores.softmax(-1)


def check_dropout(dropout: float) -> None:
    """Raises ValueError unless `dropout` is in [0, 1)."""
    check_number(dropout=dropout)
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout must be in [0, 1), got dropout={dropout!r}")


def _stacked(weights: list[Tensor | None]) -> Tensor | None:
    seen = [each for each in weights if each is not None]
    return torch.stack(seen, 2) if seen else None
