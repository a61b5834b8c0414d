"""The A/A control: a block that is there and does nothing."""

import torch
from torch import Tensor

from cv_attention.blocks.base import AttentionMap, Block
from cv_attention.blocks.construction import Spec
from cv_attention.blocks.controls.base import wrapped


class Identity(Block):
    """Holds a block, frozen, and returns its input: is the study honest?

    A network with it computes what the network without a block does, to the last digit where the hardware is
    deterministic; so a study that finds a difference compares something else than blocks. The block itself runs only
    while somebody looks at its attention maps.

    Args:
        channels: Channels C of the input.
        block: The block: a name, ``{name: ..., <options>}``, ``{class_path: ..., init_args: ...}`` or a class.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks.controls import Identity
        >>> x = torch.randn(2, 16, 7, 7)
        >>> torch.equal(Identity(16, block="se")(x), x)
        True
    """

    def __init__(self, channels: int, *, block: Spec) -> None:
        super().__init__()
        self.block = wrapped(block, channels).requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """Returns `x` (B, C, H, W)."""
        if any(isinstance(module, AttentionMap) and module.observed for module in self.block.modules()):
            with torch.no_grad():
                self.block(x)
        return x
