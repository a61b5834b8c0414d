"""Makes the rows that MANN and the list hold: a key to be found by, and what is found with it."""

from typing import Any, Literal

import torch
from torch import Tensor, nn

from cv_attention.blocks.base import check_choice, check_whole, zero
from cv_attention.heads.memory.addressing import content
from cv_attention.heads.memory.cell import Cell, Item

_SHARP = 20.0  # of a new network's key strength, where keys are those of images: it finds the like of an image at once


class Rows(Cell):
    """Base class of memories of rows, which are written as wholes and found by their keys.

    Args:
        inputs: Length D of what the controller says.
        channels: Length C of the features of an image.
        ways: Number of labels.
        slots: Number of slots N.
        width: Length of a key.
        read_heads: Number of read heads.
        writers: Number of rows that are written in a step.
        write: ``bound`` writes the image of the step before with its label, which has just arrived; ``paper`` what the
            controller says.
        address: ``key`` compares keys, next to which the label (or another vector of the controller) lies; ``paper``
            compares whole rows.
        strength: Whether the controller says how sharply rows are compared; else as in the paper, by the cosine alone.

    Attributes:
        values: Length of what lies next to a key; 0 where rows are compared as wholes.

    Raises:
        ValueError: if a number is not positive, or a choice unknown.
    """

    def __init__(
        self, inputs: int, channels: int, ways: int, slots: int, width: int, read_heads: int, writers: int,
        *, write: Literal["bound", "paper"], address: Literal["key", "paper"], strength: bool,
    ) -> None:  # fmt: skip
        super().__init__(slots, width, read_heads)
        check_whole(ways=ways, channels=channels)
        check_choice("write", write, ("bound", "paper"))
        check_choice("address", address, ("key", "paper"))
        check_choice("strength", strength, (True, False))
        self.bound, self.keyed, self.writers = write == "bound", address == "key", writers
        self.values = (ways if self.bound else width) if self.keyed else 0
        self.length = width + self.values
        self.query = nn.Linear(inputs, read_heads * width)
        self.strength = nn.Linear(inputs, read_heads) if strength else None
        self.bind = self.value = None
        if self.bound:
            self.bind = nn.Linear(channels + (0 if self.keyed else ways), writers * width)
            zero(self.query)  # images alone are compared at first
            if self.strength is not None:
                nn.init.constant_(self.strength.bias, _SHARP)
        elif self.keyed:
            self.value = nn.Linear(inputs, writers * width)

    def keys(self, x: Tensor, item: Item | None) -> Tensor:
        """Returns what each read head looks for, (B, heads, width).

        Args:
            x: What the controller says, (B, D).
            item: The image and the label of the step.
        """
        wanted = self.query(x).unflatten(1, (self.read_heads, -1))
        if self.bind is None:
            return wanted.tanh()
        item = _given(item)
        known = item.image if self.keyed else torch.cat([item.image, torch.zeros_like(item.label)], 1)
        own = self.bind(known).unflatten(1, (self.writers, -1))
        return wanted + own.expand(-1, self.read_heads, -1)

    def rows(self, x: Tensor, item: Item | None) -> tuple[Tensor, Tensor]:
        """Returns the rows to write, (B, writers, length), and whether there is something to write, 0 or 1, (B,).

        Args:
            x: What the controller says, (B, D).
            item: The image and the label of the step.
        """
        if self.bind is None:
            rows = self.query(x).unflatten(1, (self.read_heads, -1))[:, : self.writers].tanh()
            if self.value is not None:
                rows = torch.cat([rows, self.value(x).unflatten(1, (self.writers, -1)).tanh()], 2)
            return rows, x.new_ones(x.shape[0])
        item = _given(item)
        known = item.before if self.keyed else torch.cat([item.before, item.label], 1)
        rows = self.bind(known).unflatten(1, (self.writers, -1))
        if self.keyed:
            rows = torch.cat([rows, item.label[:, None].expand(-1, self.writers, -1)], 2)
        return rows, item.label.sum(1)

    def find(self, memory: Tensor, x: Tensor, item: Item | None, keep: Tensor | None = None) -> Tensor:
        """Returns the read weights (B, heads, N).

        Args:
            memory: (B, N, length).
            x: What the controller says, (B, D).
            item: The image and the label of the step.
            keep: Which rows are real, bool (B, N); None for all.
        """
        strength = None if self.strength is None else nn.functional.softplus(self.strength(x))
        return content(memory[..., : self.width], self.keys(x, item), strength, keep)


def _given(item: Any) -> Item:
    if item is None:
        raise ValueError("a memory with write: bound needs the image and the label of each step, got none")
    return item
