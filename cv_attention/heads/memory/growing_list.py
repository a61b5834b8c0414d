"""Implements a memory that forgets nothing: attention over all earlier items (Vinyals et al., NeurIPS 2016)."""

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from cv_attention.heads.memory.cell import Item
from cv_attention.heads.memory.rows import Rows


class ListState(NamedTuple):
    """Holds the state of a `GrowingList` after N steps.

    Attributes:
        memory: (B, N, length).
        read: Read weights of the last step, (B, heads, N).
        write: Write weights of the last step, (B, 1, N): 1 for the last row.
        reads: What was read in the last step, (B, heads, length).
        keep: Which rows are real, bool (B, N): a step without a label has none.
    """

    memory: Tensor
    read: Tensor
    write: Tensor
    reads: Tensor
    keep: Tensor


class GrowingList(Rows):
    """Appends a row in each step and attends to all rows: the control that memories with slots are compared with.

    Paper: Matching networks for one shot learning (Vinyals et al., NeurIPS 2016), https://arxiv.org/abs/1606.04080,
    section 2.1: the label is a sum of earlier labels, weighted by a softmax over cosines.

    Args:
        inputs: Length D of what the controller says.
        channels: Length C of the features of an image.
        ways: Number of labels.
        width: Length of a key.
        read_heads: Number of read heads.
        write: ``bound`` appends the image of the step before with its label; ``paper`` what the controller says.
        address: ``key`` compares keys, next to which the label lies; ``paper`` compares whole rows.
        strength: Whether the controller says how sharply rows are compared.

    Raises:
        ValueError: if a number is not positive, or a choice unknown.

    Examples:
        >>> import torch
        >>> from cv_attention.heads import GrowingList
        >>> cell = GrowingList(12, channels=6, ways=5, width=4, write="paper")
        >>> state = cell.start(3)
        >>> for _ in range(2):
        ...     read, state = cell(torch.randn(3, 12), state)
        >>> state.memory.shape
        torch.Size([3, 2, 8])
    """

    def __init__(
        self, inputs: int, channels: int, ways: int, *, width: int = 32, read_heads: int = 1,
        write: Literal["bound", "paper"] = "bound", address: Literal["key", "paper"] = "key", strength: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(
            inputs, channels, ways, 1, width, read_heads, 1, write=write, address=address, strength=strength
        )

    def start(self, batch: int, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> ListState:
        """Returns the state before the first step: no rows."""
        memory = torch.zeros(batch, 0, self.length, device=device, dtype=dtype)
        reads = memory.new_zeros(batch, self.read_heads, self.length)
        read, write = memory.new_zeros(batch, self.read_heads, 0), memory.new_zeros(batch, 1, 0)
        return ListState(memory, read, write, reads, torch.zeros(batch, 0, dtype=torch.bool, device=device))

    def forward(self, x: Tensor, state: ListState, item: Item | None = None) -> tuple[Tensor, ListState]:
        """Appends a row and reads once; see `Cell.forward`."""
        rows, real = self.rows(x, item)
        memory = torch.cat([state.memory, rows], 1)
        keep = torch.cat([state.keep, real[:, None] > 0], 1)
        known = keep if self.bound else torch.cat([state.keep, torch.zeros_like(real[:, None] > 0)], 1)
        read = self.find(memory, x, item, known)
        reads = read @ memory
        write = torch.cat([torch.zeros_like(memory[:, None, 1:, 0]), real[:, None, None]], 2)
        return reads, ListState(memory, read, write, reads, keep)
