"""Defines a site as the trace shows it, before a block is made for it."""

from dataclasses import dataclass

from cv_attention.backbones.attachment.place import Place
from cv_attention.backbones.tracing.trace import Value


@dataclass(frozen=True)
class TracedSite:
    """Where one block can go.

    Attributes:
        host: Name of the module to which the block is attached.
        place: Where the block is relative to the host.
        shape: (C, H, W) of what the block takes.
        index: The forward's order.
        within: Index of a value which tells the site's stage.
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
