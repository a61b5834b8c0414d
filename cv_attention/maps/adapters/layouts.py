"""How attention inside a module lies over the image: tokens of a grid, and windows of it."""

from collections.abc import Callable, Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from cv_attention.maps.adapters.adapter import Layout
from cv_attention.maps.recorded import RecordedMap, over_tokens, over_windows
from cv_attention.maps.watch import WatchedCall

NamedMaps = Iterable[tuple[str, RecordedMap]]


def tokens(call: WatchedCall) -> NamedMaps:
    """Lays out attention over a sequence: pairwise if it is a grid with other tokens, else alignment.

    Class and register tokens, before or behind the grid in the model, come first in the map.

    Args:
        call: The call of the module, with the attention weights (B, heads, queries, keys) that were computed in it.

    Yields:
        The name below the module, ``""``, and the map.

    Examples:
        >>> from cv_attention.maps import add_adapter, by_softmax, tokens
        >>> add_adapter("their_package.layers.SelfAttention", by_softmax(tokens))
    """
    for attention in call.attention[-1:]:
        if attention.dim() == 3:
            attention = attention.unsqueeze(1)
        elif attention.dim() != 4:
            attention = attention.flatten(0, -4) if attention.dim() > 4 else attention[None, None]
        yield "", laid_out(call, attention)


def laid_out(call: WatchedCall, attention: Tensor) -> RecordedMap:
    """Attention (B, heads, queries, keys) as pairwise where its keys are a grid, else as alignment."""
    of_all_images = call.watch.images is None or len(attention) == call.watch.images[0]
    grid = call.watch.grid(attention.shape[3]) if of_all_images and not _is_text(call) else None
    if grid is None:
        return RecordedMap(attention, "alignment")
    behind = call.watch.behind.get(attention.shape[3], 0)
    if behind:  # class and register tokens come first in a map, wherever the model has them
        both = attention.shape[2] == attention.shape[3]
        attention = attention.roll((behind, behind), (2, 3)) if both else attention.roll(behind, 3)
    return over_tokens(attention, grid[:2], grid[2])


def over_input(prefix: int = 0) -> Layout:
    """Attention to the positions of the module's input (B, C, H, W), behind so many tokens of the module's own."""

    def layout(call: WatchedCall) -> NamedMaps:
        batch, _, height, width = call.input.shape
        attention = call.attention[-1]
        if attention.dim() == 3:  # (B * heads, queries, keys)
            attention = attention.unflatten(0, (batch, -1))
        yield "", over_tokens(attention, (height, width), prefix)

    return layout


def channels(call: WatchedCall) -> NamedMaps:
    """Attention among channels, whose keys are not a grid."""
    for attention in call.attention[-1:]:
        yield "", RecordedMap(attention, "alignment")


Partition = Callable[[Tensor, Sequence[int]], Tensor]


def window_partition(positions: Tensor, size: Sequence[int]) -> Tensor:
    """(H, W) -> (windows, h, w): neighbours share a window of this size."""
    height, width = positions.shape
    parts = positions.view(height // size[0], size[0], width // size[1], size[1])
    return parts.permute(0, 2, 1, 3).flatten(0, 1)


def grid_partition(positions: Tensor, size: Sequence[int]) -> Tensor:
    """(H, W) -> (windows, h, w): those far apart share a window, one from each cell of an H/h x W/w raster."""
    height, width = positions.shape
    parts = positions.view(size[0], height // size[0], size[1], width // size[1])
    return parts.permute(1, 3, 0, 2).flatten(0, 1)


def windowed(
    attention: Tensor,
    grid: Sequence[int],
    size: Sequence[int],
    shift: Sequence[int] = (0, 0),
    *,
    partition: Partition = window_partition,
    pad_first: bool = False,
) -> RecordedMap:
    """Attention within windows as a map over the grid.

    Args:
        attention: (B * windows, heads, queries, keys), or (B, windows, heads, queries, keys).
        grid: Height and width.
        size: Height and width of a window.
        shift: By how much the grid is rolled up and left before it is cut.
        partition: How it is cut.
        pad_first: Whether the grid is padded to whole windows before it is rolled, or after.
    """
    positions = torch.arange(grid[0] * grid[1], device=attention.device).view(grid[0], grid[1])
    padding = (0, -grid[1] % size[1], 0, -grid[0] % size[0])
    if pad_first:
        positions = F.pad(positions, padding, value=-1)
    positions = positions.roll((-shift[0], -shift[1]), (0, 1))
    if not pad_first:
        positions = F.pad(positions, padding, value=-1)
    keys = partition(positions, size)
    if attention.dim() == 4:
        attention = attention.unflatten(0, (-1, len(keys)))
    return over_windows(attention.transpose(1, 2), keys.flatten(1), keys, (grid[0], grid[1]))


def _is_text(call: WatchedCall) -> bool:
    """Returns whether the module belongs to a language model, as in CLIP, whose tokens are words."""
    return "Text" in type(getattr(call.module, "config", None)).__name__ or bool(call.given.get("is_causal"))
