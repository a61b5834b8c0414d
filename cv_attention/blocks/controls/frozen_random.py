"""The control of learning: a block whose weights stay as they were drawn."""

from torch import Tensor

from cv_attention.blocks.base import Block
from cv_attention.blocks.construction import Spec
from cv_attention.blocks.controls.base import NothingToControl, wrapped


class FrozenRandom(Block):
    """Runs a block whose weights stay as they were drawn: does it need to learn?

    Statistics of batch norms inside the block still follow the images. A block that starts as the identity would stay
    it, so with ``model.init: identity`` this one is faded in by learned numbers alpha, as blocks without a start of
    their own are.

    Args:
        channels: Channels C of the input.
        block: The block: a name, ``{name: ..., <options>}``, ``{class_path: ..., init_args: ...}`` or a class.

    Raises:
        ValueError: if the block has no parameters.

    Examples:
        >>> from cv_attention.blocks.controls import FrozenRandom
        >>> any(parameter.requires_grad for parameter in FrozenRandom(16, block="se").parameters())
        False
    """

    def __init__(self, channels: int, *, block: Spec) -> None:
        super().__init__()
        self.block = wrapped(block, channels).requires_grad_(False)
        if not any(True for _ in self.block.parameters()):
            raise NothingToControl(f"FrozenRandom keeps weights as drawn, but {type(self.block).__name__} has none")

    def forward(self, x: Tensor) -> Tensor:
        """Runs the block on `x` (B, C, H, W); keeps the shape."""
        return self.block(x)
