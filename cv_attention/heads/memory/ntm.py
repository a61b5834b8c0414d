"""Implements the memory of a neural Turing machine (Graves et al., 2014), https://arxiv.org/abs/1410.5401."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cv_attention.blocks.base import check_odd
from cv_attention.heads.memory.addressing import content, interpolate, oneplus, sharpen, shift
from cv_attention.heads.memory.cell import Cell, Item, one_hot_start, split

_START = 1e-6  # of the memory: Collier and Beel, 2018, https://arxiv.org/abs/1807.08518


class NTMState(NamedTuple):
    """Holds the state of an `NTM`.

    Attributes:
        memory: (B, N, width).
        read: Read weights of the last step, (B, heads, N).
        write: Write weights of the last step, (B, 1, N).
        reads: What was read in the last step, (B, heads, width).
    """

    memory: Tensor
    read: Tensor
    write: Tensor
    reads: Tensor


class NTM(Cell):
    """Reads and writes by content, and by moving on from where it was: a tape of slots.

    Paper: Neural Turing machines (Graves et al., 2014), https://arxiv.org/abs/1410.5401, sections 3.1 to 3.3.

    Each head makes a key k, a strength b >= 0, a gate g in (0, 1), shifts s (a softmax) and a power p >= 1::

        w_c = softmax(b cos(k, M));  w_g = g w_c + (1 - g) w;  w = sharpen(w_g * s, p)

    The memory is erased, then added to, ``M (1 - w e^T) + w a^T``, and then read. It starts constant at 1e-6 and the
    weights on the first slot (Collier and Beel, 2018), so that episodes start alike.

    Args:
        inputs: Length D of what the controller says.
        slots: Number of slots N.
        width: Length of the vector in each slot.
        read_heads: Number of read heads; there is one write head.
        shifts: Number of shifts, odd: 3 moves by -1, 0 or 1 slots in a step.

    Raises:
        ValueError: if a number is not positive, or `shifts` not odd.

    Examples:
        >>> import torch
        >>> from cv_attention.heads import NTM
        >>> cell = NTM(inputs=12, slots=8, width=4)
        >>> read, state = cell(torch.randn(2, 12), cell.start(2))
        >>> read.shape, state.write.shape
        (torch.Size([2, 1, 4]), torch.Size([2, 1, 8]))
    """

    def __init__(self, inputs: int, *, slots: int = 32, width: int = 16, read_heads: int = 1, shifts: int = 3) -> None:
        super().__init__(slots, width, read_heads)
        check_odd(shifts=shifts)
        self.shifts = shifts
        self.address = nn.Linear(inputs, (read_heads + 1) * sum(self._sizes.values()))
        self.change = nn.Linear(inputs, 2 * width)

    @property
    def _sizes(self) -> dict[str, int]:
        return {"key": self.width, "strength": 1, "gate": 1, "shift": self.shifts, "power": 1}

    def start(self, batch: int, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> NTMState:
        """Returns the state before the first step: a constant memory, weights on the first slot."""
        memory = torch.full((batch, self.slots, self.width), _START, device=device, dtype=dtype)
        weights = one_hot_start(batch, self.read_heads + 1, self.slots, device, dtype)
        return NTMState(memory, weights[:, 1:], weights[:, :1], memory[:, :1].expand(-1, self.read_heads, -1))

    def forward(self, x: Tensor, state: NTMState, item: Item | None = None) -> tuple[Tensor, NTMState]:
        """Writes and reads once; see `Cell.forward`."""
        parts = split(self.address(x), self._sizes, self.read_heads + 1)
        erase, add = self.change(x).chunk(2, 1)
        write = self._move(state.memory, state.write, {name: part[:, :1] for name, part in parts.items()})
        erased = write.transpose(1, 2) * erase.sigmoid()[:, None]
        memory = state.memory * (1 - erased) + write.transpose(1, 2) * add.tanh()[:, None]
        read = self._move(memory, state.read, {name: part[:, 1:] for name, part in parts.items()})
        reads = read @ memory
        return reads, NTMState(memory, read, write, reads)

    def _move(self, memory: Tensor, before: Tensor, parts: dict[str, Tensor]) -> Tensor:
        """Computes the weights (B, heads, N) of heads from those `before`."""
        found = content(memory, parts["key"].tanh(), F.softplus(parts["strength"])[..., 0])
        blended = interpolate(found, before, parts["gate"].sigmoid()[..., 0])
        return sharpen(shift(blended, parts["shift"].softmax(2)), oneplus(parts["power"])[..., 0])
