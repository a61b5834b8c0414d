"""Defines what every memory has: a state to start with, and a step that writes and reads."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from cv_attention.blocks.base import check_whole


class Item(NamedTuple):
    """Holds what a step knows of images and labels as such, for memories that bind one to the other.

    Attributes:
        image: Features of this step's image, (B, C).
        before: Features of the image of the step before, (B, C).
        label: The label that has arrived at this step, that of the image before, one-hot (B, ways); zeros for none.
    """

    image: Tensor
    before: Tensor
    label: Tensor


class Cell(nn.Module):
    """Base class of memories: functions of (input, state), which keep nothing of a batch on the module.

    A state is a NamedTuple of tensors, the first axis of which is the batch. It has ``reads`` (B, heads, length), what
    was read last; ``read`` (B, heads, N) and ``write`` (B, write heads, N), the weights of the last step.

    Args:
        slots: Number of slots N.
        width: Length of the vector in each slot.
        read_heads: Number of read heads.

    Attributes:
        length: Length of what one head reads.

    Raises:
        ValueError: if a number is not a positive integer.
    """

    def __init__(self, slots: int, width: int, read_heads: int) -> None:
        super().__init__()
        check_whole(slots=slots, width=width, read_heads=read_heads)
        self.slots, self.width, self.read_heads, self.length = slots, width, read_heads, width

    def start(self, batch: int, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> Any:
        """Returns the state before the first step.

        Args:
            batch: Number of episodes B.
            device: Of the tensors.
            dtype: Of the tensors.
        """
        raise NotImplementedError

    def forward(self, x: Tensor, state: Any, item: Item | None = None) -> tuple[Tensor, Any]:
        """Writes and reads once.

        Args:
            x: What the controller says, (B, D).
            state: What `start` or the last step returned.
            item: The image and the label of the step; only memories with ``write: bound`` use them.

        Returns:
            What was read, (B, heads, length), and the next state.
        """
        raise NotImplementedError


def split(values: Tensor, sizes: dict[str, int], heads: int) -> dict[str, Tensor]:
    """Divides the output of a layer (B, heads * sum of sizes) into parts by name, each (B, heads, size)."""
    parts = values.unflatten(1, (heads, -1)).split(list(sizes.values()), 2)
    return dict(zip(sizes, parts, strict=True))


def one_hot_start(batch: int, heads: int, slots: int, device: torch.device | str, dtype: torch.dtype) -> Tensor:
    """Returns weights (B, heads, N) that lie on the first slot."""
    first = torch.arange(slots, device=device) == 0
    return first.to(dtype).expand(batch, heads, slots)
