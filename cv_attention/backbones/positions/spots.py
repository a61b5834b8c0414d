"""Defines a spot: a module, and whether the block takes its output, input, shortcut or place."""

from dataclasses import dataclass

from cv_attention.backbones.attachment.place import Place
from cv_attention.backbones.tracing.trace import Value


@dataclass(frozen=True)
class Spot:
    """One place for a block.

    Attributes:
        host: Name of the module on which the block hangs.
        place: Where it is, seen from the host.
        shape: (C, H, W) of what the block takes.
        index: The forward's order.
        within: Index of a value by which the spot's stage is told.
        entrances: Modules inside the host that begin the branch, where the block is on the shortcut.
    """

    host: str
    place: Place
    shape: tuple[int, int, int]
    index: int
    within: int
    entrances: tuple[str, ...] = ()


def shape_of(value: Value) -> tuple[int, int, int]:
    """(C, H, W) of a feature map (B, C, H, W)."""
    _, channels, height, width = value.shape
    return channels, height, width
