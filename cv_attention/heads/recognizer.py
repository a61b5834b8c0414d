"""Defines the network that reads texts: a reader of images, and a head that writes."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from cv_attention.alphabet import Alphabet
from cv_attention.blocks.memory import Memory
from cv_attention.heads.text_head import Found, TextHead


@dataclass(frozen=True)
class Reading:
    """Holds a text that was read from an image.

    Attributes:
        text: The text.
        confidence: Its probability: the product over its units and its end, in [0, 1].
        units: The units of the text: characters, graphemes or words.
        confidences: The probability of each unit, given those before it.

    Examples:
        >>> from cv_attention.heads import Reading
        >>> Reading("42", 0.72, ("4", "2"), (0.9, 0.8)).text
        '42'
    """

    text: str
    confidence: float
    units: tuple[str, ...]
    confidences: tuple[float, ...]


class TextRecognizer(nn.Module):
    """Reads texts from images: a reader leaves a memory, and a head writes.

    Args:
        reader: From images to a `Memory`.
        head: A `TextHead`.
        alphabet: What its numbers stand for.

    Attributes:
        reader: The reader.
        head: The head; its ``map`` shows where each step looks.
        alphabet: The alphabet.

    Examples:
        >>> import torch
        >>> from cv_attention import backbones, heads, record
        >>> reader = backbones.reader(backbones.build("resnet20", width=4), input_size=(32, 64))
        >>> network = heads.build(reader, {"name": "gru", "width": 16}, tokens="0123456789", longest=5).eval()
        >>> network(torch.randn(2, 3, 32, 64)).shape  # logits of freely read steps, the end among them
        torch.Size([2, 6, 11])
        >>> with record(network) as maps:
        ...     readings = network.read(torch.randn(2, 3, 32, 64))
        >>> maps["head.map"].kind, maps["head.map"].values.shape[-2:]
        ('pairwise', torch.Size([8, 16]))
    """

    def __init__(self, reader: nn.Module, head: TextHead, alphabet: Alphabet) -> None:
        super().__init__()
        self.reader, self.head, self.alphabet = reader, head, alphabet

    def forward(self, images: Tensor, tokens: Tensor | None = None, width: Tensor | None = None) -> Tensor:
        """Computes the logits of every step.

        Args:
            images: (B, 3, H, W), normalised as the backbone takes them.
            tokens: The texts to write, with their ends and padded, int64 (B, T): each step is told the right number of
                the step before. None reads freely.
            width: How many columns of each image are image, int64 (B,), where the rest is padding; None for all.

        Returns:
            (B, T, outputs), of a free reading (B, longest + 1, outputs).
        """
        return self.head(self.memory(images, width), tokens)

    def memory(self, images: Tensor, width: Tensor | None = None) -> Memory:
        """Returns what the head reads of `images` (B, 3, H, W), of which `width` (B,) columns are not padding."""
        return self.reader(images) if width is None else self.reader(images, width)

    def loss(self, images: Tensor, tokens: Tensor, width: Tensor | None = None, smoothing: float = 0.0) -> Tensor:
        """Computes the training loss of the head.

        Args:
            images: (B, 3, H, W).
            tokens: The texts with their ends, padded, int64 (B, T).
            width: How many columns of each image are image, int64 (B,); None for all.
            smoothing: Label smoothing in [0, 1).

        Returns:
            A scalar.
        """
        return self.head.loss(self.memory(images, width), tokens, smoothing)

    def search(
        self, images: Tensor, width: Tensor | None = None, *, beams: int = 1, length_penalty: float = 0.0
    ) -> Found:
        """Reads the numbers of texts, in the present mode and with gradients where they are enabled.

        Args:
            images: (B, 3, H, W).
            width: How many columns of each image are image, int64 (B,); None for all.
            beams: Number of texts that are followed at once.
            length_penalty: α of the score by which texts are compared, see `TextHead.read`.

        Returns:
            Numbers, logarithms of their probabilities, and weights.
        """
        return self.head.read(self.memory(images, width), beams=beams, length_penalty=length_penalty)

    @torch.no_grad()
    def read(
        self, images: Tensor, width: Tensor | None = None, *, beams: int = 1, length_penalty: float = 0.0
    ) -> list[Reading]:
        """Reads texts, without gradients; `record` around it sees the weights of the texts that are returned.

        Args:
            images: (B, 3, H, W), normalised as the backbone takes them.
            width: How many columns of each image are image, int64 (B,); None for all.
            beams: Number of texts that are followed at once; 1 takes the likeliest number of each step.
            length_penalty: α of ``log p / ((5 + length) / 6)^α`` by which texts are compared; 0 compares probabilities.

        Returns:
            A reading for each image.
        """
        return self.readings(self.search(images, width, beams=beams, length_penalty=length_penalty))

    def readings(self, found: Found) -> list[Reading]:
        """Returns the texts of the numbers `found`, with their probabilities."""
        rows: Any = zip(found.tokens.tolist(), found.log_probabilities.tolist(), strict=True)
        return [self._reading(numbers, logs) for numbers, logs in rows]

    def _reading(self, numbers: list[int], logs: list[float]) -> Reading:
        parts = tuple(self.alphabet.parts(numbers))
        each = tuple(min(math.exp(log), 1.0) for log in logs[: len(parts)])
        # what follows the end has the logarithm 0
        return Reading(self.alphabet.decode(numbers), min(math.exp(sum(logs)), 1.0), parts, each)


class StepLogits(nn.Module):
    """Gives the logits of one step of a free reading: a classifier of characters, which saliency methods explain.

    Args:
        network: The network.
        step: Number of the step, from 0 to ``longest``.

    Raises:
        ValueError: if there is no such step.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> reader = cva.backbones.reader(cva.backbones.build("convnet"), input_size=(48, 128))
        >>> network = cva.heads.build(reader, "gru", tokens="0123456789", longest=5).eval()
        >>> heat = cva.saliency.grad_cam(cva.heads.StepLogits(network, 1), torch.randn(2, 3, 48, 128))
        >>> heat.shape  # of what is read at the second step
        torch.Size([2, 1, 48, 128])
    """

    def __init__(self, network: TextRecognizer, step: int) -> None:
        super().__init__()
        if not 0 <= step <= network.head.longest:
            raise ValueError(f"step must be 0 to {network.head.longest}, got {step}")
        self.network, self.step = network, step

    def forward(self, images: Tensor) -> Tensor:
        """Returns the logits (B, outputs) of the step for `images` (B, 3, H, W)."""
        return self.network(images)[:, self.step]
