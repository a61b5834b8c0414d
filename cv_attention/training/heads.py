"""Self-attention in pictures: what each head attends to, and where every position looks."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from cv_attention.maps import RecordedMap, rollout
from cv_attention.saliency.layouts import grid_of

# Numbers of one image's pairwise map that are kept: all heads of 8x8 positions, the mean over heads of 16x16. Above
# that neighbouring positions are averaged.
MOST_VALUES = 65_536


class Heads(NamedTuple):
    """One self-attention of all images.

    Attributes:
        heads: (N, heads, h, w): what each position receives, or what the class token looks at where there is one.
        pairwise: (N, heads or 1, queries, h, w): where each position looks.
    """

    heads: Tensor
    pairwise: Tensor


def head_maps(maps: Mapping[str, RecordedMap], aspect: float) -> dict[str, Heads]:
    """Reduces every self-attention over positions among `maps`, and adds their rollout where several share a grid.

    Args:
        maps: As `record` gives them.
        aspect: Height / width of the images, to find the grid of a transformer's tokens.

    Returns:
        Name -> reduced maps; the rollout is called ``rollout``.
    """
    found: dict[str, Heads] = {}
    square: list[RecordedMap] = []
    for name, one in maps.items():
        seen = _as_pairwise(one, aspect)
        if seen is None:
            continue
        values, token = seen
        heads = values.mean(2) if token is None else token
        found[name] = Heads(heads, _limited(values))
        if values.shape[2] == values.shape[3] * values.shape[4]:
            square.append(RecordedMap(values, "pairwise"))
    if len(square) > 1 and len({one.values.shape[-2:] for one in square}) == 1:
        values = rollout(square).values
        found["rollout"] = Heads(values.mean(2), _limited(values))
    return found


def _as_pairwise(one: RecordedMap, aspect: float) -> tuple[Tensor, Tensor | None] | None:
    """The map as (N, heads, queries, h, w), and the class token's rows (N, heads, h, w) where there is such a token."""
    values = one.values.float()
    if one.kind == "pairwise":
        return values, None
    if one.kind != "alignment" or values.shape[2] != values.shape[3]:
        return None
    grid = grid_of(values.shape[3], aspect)
    if grid is None or min(grid) < 2:
        return None
    extra = values.shape[3] - grid[0] * grid[1]
    patches = values[..., extra:].unflatten(-1, grid)
    return patches[:, :, extra:], patches[:, :, 0] if extra else None


def _limited(values: Tensor) -> Tensor:
    """Averages heads, then neighbouring positions, until one image's map holds at most `MOST_VALUES` numbers."""
    if values[0].numel() > MOST_VALUES:
        values = values.mean(1, keepdim=True)
    while values[0].numel() > MOST_VALUES and min(values.shape[-2:]) > 1:
        n, heads, queries, height, width = values.shape
        if queries == height * width:  # the queries lie on the same grid
            grid = values.reshape(n, heads * queries, height, width)
            grid = F.avg_pool2d(grid, 2, ceil_mode=True) * 4  # shares of attention add up
            small = grid.shape[-2:]
            grid = grid.reshape(n * heads, height, width, -1).permute(0, 3, 1, 2)
            grid = F.avg_pool2d(grid, 2, ceil_mode=True)
            values = grid.flatten(2).mT.reshape(n, heads, -1, *small)
        else:
            values = (F.avg_pool2d(values.flatten(0, 2)[:, None], 2, ceil_mode=True) * 4)[:, 0].unflatten(
                0, (n, heads, queries)
            )
    return values if values[0].numel() <= MOST_VALUES else torch.empty(0)
