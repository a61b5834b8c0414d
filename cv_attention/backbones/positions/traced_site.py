"""Defines a site as the trace shows it, before a block is made for it."""

from dataclasses import dataclass

from cv_attention.backbones.attachment.place import Place
from cv_attention.backbones.tracing.tokens import Tokens
from cv_attention.backbones.tracing.values import Value


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
        patches: Where the patches are in what the block takes, if it takes tokens.
    """

    host: str
    place: Place
    shape: tuple[int, int, int]
    index: int
    within: int
    entrances: tuple[str, ...] = ()
    patches: Tokens | None = None


def shape_of(value: Value) -> tuple[int, int, int]:
    """(C, H, W) of a feature map (B, C, H, W), or of the patches in tokens (B, N, C)."""
    if value.patches is not None:
        return value.shape[2], *value.patches.grid
    _, channels, height, width = value.shape
    return channels, height, width
