"""Implements controllers of memories: an LSTM, and a layer without a state."""

from typing import Literal

import torch
from torch import Tensor, nn

from cv_attention.blocks.base import check_choice, check_whole

ControllerKind = Literal["lstm", "linear"]


class Controller(nn.Module):
    """Says what to write and what to look for, of an input and what was read before.

    Args:
        kind: ``lstm``, or ``linear`` for a layer with tanh and without a state, whose only memory is the external one.
        inputs: Length of the input.
        width: Length of what it says.

    Raises:
        ValueError: if the kind is unknown, or a number not positive.
    """

    def __init__(self, kind: ControllerKind, inputs: int, width: int) -> None:
        super().__init__()
        check_choice("controller", kind, ("lstm", "linear"))
        check_whole(inputs=inputs, controller_width=width)
        self.width = width
        self.recurrent = kind == "lstm"
        self.layer = nn.LSTMCell(inputs, width) if self.recurrent else nn.Linear(inputs, width)

    def start(self, batch: int, device: torch.device | str, dtype: torch.dtype) -> tuple[Tensor, ...]:
        """Returns the state before the first step: zeros, or nothing without a state."""
        zeros = torch.zeros(batch, self.width, device=device, dtype=dtype)
        return (zeros, zeros) if self.recurrent else ()

    def forward(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Returns what it says of `x` (B, inputs), (B, width), and the next state."""
        if not self.recurrent:
            return self.layer(x).tanh(), ()
        hidden, carry = self.layer(x, state)
        return hidden, (hidden, carry)
