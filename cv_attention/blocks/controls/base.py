"""Defines the base class of controls that change the attention maps of the block they wrap."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import Tensor, nn

from cv_attention.blocks.base import AttentionMap, Block
from cv_attention.blocks.construction import Spec, resolve

# Blocks that compute their maps only where somebody looks, and their output by another way.
_SHOWN_ALONE = ("CrissCrossAttention", "BilinearAttentionTransform")


class NothingToControl(ValueError):
    """Signals a block that has not what a control would change."""


def wrapped(block: Spec, channels: int) -> nn.Module:
    """Makes the block that a control wraps.

    Args:
        block: The block in any form that `resolve` takes.
        channels: Channels C of the input.
    """
    spec: Any = dict(block) if isinstance(block, Mapping) else block
    return resolve(spec)(channels)


class MapControl(Block):
    """Base class of controls that run a block with other attention maps than it computes.

    A forward hook of each attention map returns the map to use instead, which `record` then sees, too. A subclass sets
    `kinds` and implements `replace`.

    Args:
        channels: Channels C of the input.
        block: The block: a name, ``{name: ..., <options>}``, ``{class_path: ..., init_args: ...}`` or a class.

    Attributes:
        kinds: The kinds of maps that are changed; others stay as they are.
        block: The block.

    Raises:
        NothingToControl: if the block has no map of these kinds, or does not use its maps.
    """

    kinds: tuple[str, ...] = ()

    def __init__(self, channels: int, *, block: Spec) -> None:
        super().__init__()
        self.block = wrapped(block, channels)
        if not self.maps():
            raise NothingToControl(
                f"{type(self).__name__} changes maps of the kinds {', '.join(self.kinds)}, but "
                f"{type(self.block).__name__} has none"
            )
        if (shown := type(self.block).__name__) in _SHOWN_ALONE:
            raise NothingToControl(
                f"{type(self).__name__} changes attention maps, but {shown} does not multiply by its own"
            )
        for name, map in self.maps().items():
            map.register_forward_hook(partial(self._replaced, name))
        if hasattr(self.block, "start_as_identity"):
            self.start_as_identity = self._start_as_identity

    def maps(self) -> dict[str, AttentionMap]:
        """Returns the maps that are changed, by their names in the block."""
        return {
            name: module
            for name, module in self.block.named_modules()
            if isinstance(module, AttentionMap) and module.kind in self.kinds
        }

    def replace(self, name: str, attention: Tensor) -> Tensor:
        """Returns what to use in the place of the map `attention` called `name`; a subclass implements this."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Runs the block on `x` (B, C, H, W) with its maps changed; keeps the shape."""
        return self.block(x)

    def _replaced(self, name: str, _: nn.Module, __: Any, attention: Tensor) -> Tensor:
        return self.replace(name, attention)

    def _start_as_identity(self) -> None:
        start: Any = self.block
        start.start_as_identity()
