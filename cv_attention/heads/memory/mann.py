"""Implements the memory of memory-augmented neural networks (Santoro et al., ICML 2016)."""

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from cv_attention.heads.memory.addressing import interpolate, least_used
from cv_attention.heads.memory.cell import Item, one_hot_start
from cv_attention.heads.memory.rows import Rows

_DECAY = 0.95  # of the usage, as in the paper


class MANNState(NamedTuple):
    """Holds the state of a `MANN`.

    Attributes:
        memory: (B, N, length).
        read: Read weights of the last step, (B, heads, N).
        write: Write weights of the last step, (B, heads, N).
        reads: What was read in the last step, (B, heads, length).
        used: Usage of each slot, (B, N).
    """

    memory: Tensor
    read: Tensor
    write: Tensor
    reads: Tensor
    used: Tensor


class MANN(Rows):
    """Writes to the least recently used slots, or to those just read, and reads by content.

    Paper: One-shot learning with memory-augmented neural networks (Santoro et al., ICML 2016),
    https://arxiv.org/abs/1605.06065, section 3.2.

    Write weights are ``s w_r + (1 - s) w_lu``, of the read weights of the step before and the least used slot; usage is
    ``0.95 u + w_r + w_w``. Each head writes to one slot of its own: the first to the least used, the second to the
    next, and all of these slots are zeroed before. The paper's indicator of the n least used slots, the same for all
    heads, also allows that every head writes to all of them.

    With ``write: paper`` it reads, then writes its key, as the paper does. With ``write: bound`` the image of the step
    before is written with its label, which has just arrived, and then the memory is read.

    Args:
        inputs: Length D of what the controller says.
        channels: Length C of the features of an image.
        ways: Number of labels.
        slots: Number of slots N.
        width: Length of a key.
        read_heads: Number of read heads, at most `slots`; each has a write head.
        write: ``bound`` or ``paper``.
        address: ``key`` compares keys, next to which the label lies; ``paper`` compares whole rows.
        strength: Whether the controller says how sharply rows are compared; the paper has no such number.

    Raises:
        ValueError: if a number is not positive, a choice unknown, or there are more heads than slots.

    Examples:
        >>> import torch
        >>> from cv_attention.heads import MANN
        >>> cell = MANN(12, channels=6, ways=5, slots=8, width=4, read_heads=2, write="paper", address="paper")
        >>> read, state = cell(torch.randn(3, 12), cell.start(3))
        >>> read.shape, state.used.shape
        (torch.Size([3, 2, 4]), torch.Size([3, 8]))
    """

    def __init__(
        self, inputs: int, channels: int, ways: int, *, slots: int = 32, width: int = 32, read_heads: int = 1,
        write: Literal["bound", "paper"] = "bound", address: Literal["key", "paper"] = "key", strength: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(
            inputs,
            channels,
            ways,
            slots,
            width,
            read_heads,
            read_heads,
            write=write,
            address=address,
            strength=strength,
        )
        if read_heads > slots:
            raise ValueError(f"read_heads must be at most slots, got read_heads={read_heads}, slots={slots}")
        self.gate = nn.Linear(inputs, read_heads)
        if self.bound:
            nn.init.constant_(self.gate.bias, -5.0)  # mostly to the least used slot

    def start(self, batch: int, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> MANNState:
        """Returns the state before the first step: zeros, and read weights on the first slot."""
        memory = torch.zeros(batch, self.slots, self.length, device=device, dtype=dtype)
        weights = one_hot_start(batch, self.read_heads, self.slots, device, dtype)
        reads = memory.new_zeros(batch, self.read_heads, self.length)
        return MANNState(memory, weights, torch.zeros_like(weights), reads, memory.new_zeros(batch, self.slots))

    def forward(self, x: Tensor, state: MANNState, item: Item | None = None) -> tuple[Tensor, MANNState]:
        """Writes and reads once; see `Cell.forward`."""
        rows, real = self.rows(x, item)
        least = least_used(state.used, self.writers)
        write = interpolate(state.read, least, self.gate(x).sigmoid()) * real[:, None, None]
        emptied = state.memory * (1 - least.sum(1) * real[:, None])[..., None]
        memory = emptied + write.transpose(1, 2) @ rows
        seen = memory if self.bound else state.memory
        read = self.find(seen, x, item)
        reads = read @ seen
        used = _DECAY * state.used + read.sum(1) + write.sum(1)
        return reads, MANNState(memory, read, write, reads, used)
