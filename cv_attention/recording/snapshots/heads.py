"""Records self-attention: what each head attends to, and where every position looks."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from cv_attention.maps import RecordedMap, head_heatmaps, rollout

# Number of values of one image's pairwise map to keep: all heads of 8x8 positions, the mean over heads of 16x16. Above
# that neighbouring positions are averaged.
MOST_VALUES = 65_536
_MOST_DENSE = 16 * MOST_VALUES  # of one image's windows put onto the grid: 14x14 positions of up to 27 heads


class Heads(NamedTuple):
    """Holds one self-attention layer's maps of all images.

    Attributes:
        heads: (N, heads, h, w): what each position receives, or what the class token attends to, if there is one.
        pairwise: (N, heads or 1, queries, h, w): what each position attends to.
    """

    heads: Tensor
    pairwise: Tensor


def head_maps(maps: Mapping[str, RecordedMap]) -> dict[str, Heads]:
    """Reduces every self-attention over positions among `maps`, and adds their rollout if several share a grid.

    Args:
        maps: Maps from `record`.

    Returns:
        Name -> reduced maps; the rollout is called ``rollout``.
    """
    pairwise = {name: recorded for name, recorded in maps.items() if recorded.kind == "pairwise"}
    reduced = {name: _reduced(recorded) for name, recorded in pairwise.items()}
    square = [
        recorded
        for recorded in pairwise.values()
        if recorded.windows is None and recorded.values.shape[2] == recorded.values.shape[3] * recorded.values.shape[4]
    ]
    if len(square) > 1 and len({(recorded.values.shape[-2:], recorded.prefix) for recorded in square}) == 1:
        reduced["rollout"] = _reduced(rollout(square))
    return reduced


def _reduced(recorded: RecordedMap) -> Heads:
    by_class = recorded.tokens is not None and recorded.tokens.shape[2] == recorded.tokens.shape[3]
    heads = head_heatmaps(recorded, reduce="class" if by_class else "received")
    # the whole grid for every query of a window is as large as queries times positions
    values = recorded.dense().values.float() if _dense_values(recorded) <= _MOST_DENSE else torch.empty(0)
    return Heads(heads, _limited(values) if values.numel() else values)


def _dense_values(recorded: RecordedMap) -> int:
    """Returns how many values one image's map has when windows are put onto the grid; 0 if it has no windows."""
    if recorded.windows is None:
        return 0
    heads, queries = recorded.values.shape[1:3]
    return heads * queries * recorded.windows.grid[0] * recorded.windows.grid[1]


def _limited(values: Tensor) -> Tensor:
    """Averages heads, then neighbouring positions, until one image's map holds at most `MOST_VALUES` numbers."""
    if values[0].numel() > MOST_VALUES:
        values = values.mean(1, keepdim=True)
    while values[0].numel() > MOST_VALUES and min(values.shape[-2:]) > 1:
        n, heads, queries, height, width = values.shape
        if queries == height * width:  # the queries are on the same grid
            grid = values.reshape(n, heads * queries, height, width)
            grid = F.avg_pool2d(grid, 2, ceil_mode=True) * 4  # attention weights add up
            small = grid.shape[-2:]
            grid = grid.reshape(n * heads, height, width, -1).permute(0, 3, 1, 2)
            grid = F.avg_pool2d(grid, 2, ceil_mode=True)
            values = grid.flatten(2).mT.reshape(n, heads, -1, *small)
        else:
            values = (F.avg_pool2d(values.flatten(0, 2)[:, None], 2, ceil_mode=True) * 4)[:, 0].unflatten(
                0, (n, heads, queries)
            )
    return values if values[0].numel() <= MOST_VALUES else torch.empty(0)
