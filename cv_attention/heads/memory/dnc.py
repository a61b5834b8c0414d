"""Implements the memory of a differentiable neural computer (Graves et al., Nature 2016)."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from cv_attention.heads.memory.addressing import (
    allocation,
    content,
    follow,
    interpolate,
    link,
    oneplus,
    precede,
    usage,
)
from cv_attention.heads.memory.cell import Cell, Item, split


class DNCState(NamedTuple):
    """Holds the state of a `DNC`.

    Attributes:
        memory: (B, N, width).
        read: Read weights of the last step, (B, heads, N).
        write: Write weights of the last step, (B, 1, N).
        reads: What was read in the last step, (B, heads, width).
        used: Usage of each slot, (B, N).
        links: Which slot was written after which, (B, N, N).
        precedence: Which slot was written last, (B, N).
        modes: Shares of backward, content and forward in the last reading, (B, heads, 3).
    """

    memory: Tensor
    read: Tensor
    write: Tensor
    reads: Tensor
    used: Tensor
    links: Tensor
    precedence: Tensor
    modes: Tensor


class DNC(Cell):
    """Writes where there is room or by content, and reads by content or in the order of writing.

    Paper: Hybrid computing using a neural network with dynamic external memory (Graves et al., Nature 2016),
    https://doi.org/10.1038/nature20101, Methods. It writes, then reads. Each read head blends three modes: what was
    written before what it read last, what resembles its key, and what was written after.

    Args:
        inputs: Length D of what the controller says.
        slots: Number of slots N; the links between them take N * N numbers for each episode.
        width: Length of the vector in each slot.
        read_heads: Number of read heads; there is one write head.

    Raises:
        ValueError: if a number is not positive.

    Examples:
        >>> import torch
        >>> from cv_attention.heads import DNC
        >>> cell = DNC(inputs=12, slots=8, width=4, read_heads=2)
        >>> read, state = cell(torch.randn(2, 12), cell.start(2))
        >>> read.shape, state.links.shape
        (torch.Size([2, 2, 4]), torch.Size([2, 8, 8]))
    """

    def __init__(self, inputs: int, *, slots: int = 32, width: int = 16, read_heads: int = 1) -> None:
        super().__init__(slots, width, read_heads)
        self.reading = nn.Linear(inputs, read_heads * sum(self._read_sizes.values()))
        self.writing = nn.Linear(inputs, sum(self._write_sizes.values()))

    @property
    def _read_sizes(self) -> dict[str, int]:
        return {"key": self.width, "strength": 1, "free": 1, "modes": 3}

    @property
    def _write_sizes(self) -> dict[str, int]:
        return {"key": self.width, "strength": 1, "erase": self.width, "add": self.width, "allocate": 1, "gate": 1}

    def start(self, batch: int, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> DNCState:
        """Returns the state before the first step: zeros."""

        def zeros(*shape: int) -> Tensor:
            return torch.zeros(batch, *shape, device=device, dtype=dtype)

        slots, heads = self.slots, self.read_heads
        return DNCState(
            zeros(slots, self.width), zeros(heads, slots), zeros(1, slots), zeros(heads, self.width),
            zeros(slots), zeros(slots, slots), zeros(slots), zeros(heads, 3),
        )  # fmt: skip

    def forward(self, x: Tensor, state: DNCState, item: Item | None = None) -> tuple[Tensor, DNCState]:
        """Writes and reads once; see `Cell.forward`."""
        reading = split(self.reading(x), self._read_sizes, self.read_heads)
        writing = split(self.writing(x), self._write_sizes, 1)
        used = usage(state.used, state.write[:, 0], state.read, reading["free"].sigmoid()[..., 0])
        found = content(state.memory, writing["key"], oneplus(writing["strength"])[..., 0])
        room = allocation(used)[:, None]
        write = writing["gate"].sigmoid() * interpolate(room, found, writing["allocate"].sigmoid()[..., 0])
        rows = write.transpose(1, 2)
        memory = state.memory * (1 - rows * writing["erase"].sigmoid()) + rows * writing["add"]
        links = link(state.links, state.precedence, write[:, 0])
        precedence = precede(state.precedence, write[:, 0])
        modes = reading["modes"].softmax(2)
        after, before = follow(links, state.read)
        found = content(memory, reading["key"], oneplus(reading["strength"])[..., 0])
        read = modes[..., :1] * before + modes[..., 1:2] * found + modes[..., 2:] * after
        reads = read @ memory
        return reads, DNCState(memory, read, write, reads, used, links, precedence, modes)
