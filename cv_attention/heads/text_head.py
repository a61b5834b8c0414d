"""Defines what every head that writes texts has: logits, a loss, and reading."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cv_attention.blocks.base import AttentionMap, check_whole
from cv_attention.blocks.memory import Memory


class Found(NamedTuple):
    """Holds the texts that a head has read.

    Attributes:
        tokens: Numbers of the units and the end, then padding, int64 (B, T).
        log_probabilities: Logarithm of each number's probability, given those before, (B, T); 0 behind the end.
        weights: Attention weights of each step of the text, (B, heads, T, N); 0 behind the end. None without attention.

    Examples:
        >>> import torch
        >>> from cv_attention.heads import CTCHead, Memory
        >>> found = CTCHead(8, outputs=3, longest=4, grid=(1, 6)).read(Memory(torch.randn(2, 6, 8), (1, 6)))
        >>> found.tokens.shape == found.log_probabilities.shape, found.weights
        (True, None)
    """

    tokens: Tensor
    log_probabilities: Tensor
    weights: Tensor | None


class TextHead(nn.Module):
    """Base class of heads that write texts.

    The numbers are those of `alphabet.Alphabet`: 0 ends the text, the units follow; ``outputs`` starts it and
    ``outputs + 1`` pads shorter texts of a batch. These two are inputs alone.

    Args:
        channels: Channels C of the memory.
        outputs: Numbers that can be written: the units of the alphabet and the end.
        longest: Units of the longest text; reading takes at most one step more.
        attends: Whether it has attention weights.

    Attributes:
        map: The `AttentionMap` that the weights of all steps pass at once: `pairwise`, (B, heads, steps, H, W); None
            without attention.

    Raises:
        ValueError: if a number is not a positive integer.

    Examples:
        >>> from cv_attention import heads
        >>> issubclass(heads.GRUDecoder, heads.TextHead), issubclass(heads.CTCHead, heads.TextHead)
        (True, True)
    """

    def __init__(self, channels: int, outputs: int, longest: int, *, attends: bool = True) -> None:
        super().__init__()
        check_whole(channels=channels, outputs=outputs, longest=longest)
        self.channels, self.outputs, self.longest = channels, outputs, longest
        self.first, self.padding = outputs, outputs + 1
        self.map = AttentionMap("pairwise") if attends else None

    def forward(self, memory: Memory, tokens: Tensor | None = None) -> Tensor:
        """Computes the logits (B, T, outputs) of every step.

        Args:
            memory: What is read.
            tokens: The text to write, (B, T): each step is told the right number of the step before. None reads
                freely, ``longest + 1`` steps.
        """
        raise NotImplementedError

    def loss(self, memory: Memory, tokens: Tensor, smoothing: float = 0.0) -> Tensor:
        """Computes the training loss: the mean over the numbers of a batch, the ends of texts among them.

        Args:
            memory: What is read.
            tokens: The texts with their ends, padded, (B, T).
            smoothing: Label smoothing in [0, 1).

        Returns:
            A scalar; padding has no part in it.
        """
        return self.cross_entropy(self(memory, tokens), tokens, smoothing)

    def read(self, memory: Memory, *, beams: int = 1, length_penalty: float = 0.0) -> Found:
        """Reads freely, by greedy or beam search; the attention map is that of the text that is returned.

        Args:
            memory: What is read.
            beams: Number of texts that are followed at once; 1 takes the likeliest number of each step.
            length_penalty: α of ``score = log p / ((5 + length) / 6)^α`` by which texts are compared (Wu et al. 2016,
                https://arxiv.org/abs/1609.08144); 0 compares their probabilities.
        """
        raise NotImplementedError

    @property
    def observed(self) -> bool:
        """Whether somebody looks at the attention weights."""
        return self.map is not None and self.map.observed

    def cross_entropy(self, logits: Tensor, tokens: Tensor, smoothing: float) -> Tensor:
        """Computes the mean cross-entropy over the numbers of a batch that are not padding.

        Args:
            logits: (B, T, outputs).
            tokens: The texts with their ends, padded, (B, T).
            smoothing: Label smoothing in [0, 1).

        Returns:
            A scalar, in float32.
        """
        with torch.autocast(logits.device.type, enabled=False):
            flat = logits.float().flatten(0, 1)
            return F.cross_entropy(flat, tokens.flatten(), ignore_index=self.padding, label_smoothing=smoothing)

    def show(self, weights: Tensor | None, grid: tuple[int, int] | None) -> None:
        """Passes the `weights` (B, heads, T, N) of all steps through `map` as maps over `grid`, if somebody looks."""
        if self.map is not None and self.map.observed and weights is not None and grid is not None:
            self.map(weights.unflatten(-1, grid))
