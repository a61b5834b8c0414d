"""Any attention map over positions as a heatmap (B, 1, H, W)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from cv_attention.maps.recorded import RecordedMap, Windows


def to_heatmap(
    map: RecordedMap,
    size: int | tuple[int, int] | None = None,
    *,
    reduce: str | int | tuple[int, int] = "received",
    head: int | None = None,
) -> Tensor:
    """Reduces an attention map to one value for each position, raw: nothing is clipped or normalised.

    A spatial map is itself, a joint map is averaged over its channels. A pairwise map is averaged over heads, and
    over queries as `reduce` says. Attention within windows is put back in its place on the whole grid.

    Args:
        map: A map of kind ``spatial``, ``joint`` or ``pairwise``.
        size: Height and width to resize to (bilinear, ``align_corners=False``); None keeps the map's own.
        reduce: For pairwise maps: ``"received"`` averages over all queries, which gives the attention that each
            position receives from the others; a number takes that query; (row, column) takes the query at that position
            of the grid, where queries are the map's own positions; ``"class"`` takes the class token's query.
        head: For pairwise maps: take this head and do not average over heads.

    Returns:
        (B, 1, H, W) float32, on the map's device.

    Raises:
        ValueError: for maps without a grid (kind ``channel`` or ``alignment``), and for a query or head it lacks.
    """
    values = map.values
    if map.kind == "joint":
        values = map.values.float().mean(dim=1, keepdim=True)
    elif map.kind == "pairwise":
        values = _pairwise(map, reduce, head).float()
    elif map.kind != "spatial":
        raise ValueError(
            f"a map of kind {map.kind!r}, shape {tuple(map.values.shape)}, has no positions and is no heatmap; "
            "the report shows it as bars"
        )
    values = values.float()
    if size is None:
        return values
    height, width = (size, size) if isinstance(size, int) else size
    return F.interpolate(values, (height, width), mode="bilinear", align_corners=False)


def _pairwise(map: RecordedMap, reduce: str | int | tuple[int, int], head: int | None) -> Tensor:
    """(B, heads, queries, H, W) -> (B, 1, H, W)."""
    if reduce == "class":
        return _head(map.from_prefix.float(), head)[:, :, 0]
    if map.windows is None:
        return _query(_head(map.values, head), reduce)
    values, windows = _head(map.values, head), map.windows
    if reduce == "received":  # a sum over all windows is a whole grid without the whole matrix
        received = values.new_zeros(len(values), 1, windows.grid[0] * windows.grid[1] + 1, dtype=torch.float32)
        keys = windows.keys.to(values.device).flatten()
        keys = keys.where(keys >= 0, received.shape[2] - 1)
        received = received.index_add(2, keys, values.flatten(2).float())
        return received[..., :-1].unflatten(2, windows.grid) / values.shape[2]
    number = _query_number(reduce, values.shape[2], windows.grid)
    one = RecordedMap(values[:, :, [number]], "pairwise", windows=Windows(windows.keys[[number]], windows.grid))
    return one.dense().values[:, :, 0]


def _head(values: Tensor, head: int | None) -> Tensor:
    """(B, heads, queries, H, W) -> (B, 1, queries, H, W)."""
    if head is None:
        return values.mean(dim=1, keepdim=True, dtype=torch.float32)
    heads = values.shape[1]
    if not -heads <= head < heads:
        raise ValueError(f"head must be in 0..{heads - 1}, got head={head}")
    return values[:, head].unsqueeze(1)


def _query(values: Tensor, reduce: str | int | tuple[int, int]) -> Tensor:
    """(B, 1, queries, H, W) -> (B, 1, H, W)."""
    if reduce == "received":
        return values.mean(dim=2, dtype=torch.float32)
    return values[:, :, _query_number(reduce, values.shape[2], (values.shape[3], values.shape[4]))]


def _query_number(reduce: str | int | tuple[int, int], queries: int, grid: tuple[int, int]) -> int:
    """Which of the queries is meant."""
    height, width = grid
    if isinstance(reduce, tuple):
        row, column = reduce
        if queries != height * width:
            raise ValueError(
                f"reduce={reduce} needs one query for each position, got {queries} queries on {height}x{width}"
            )
        if not (-height <= row < height and -width <= column < width):
            raise ValueError(f"position {reduce} lies outside the {height}x{width} grid")
        reduce = row % height * width + column % width
    if not isinstance(reduce, int):
        raise ValueError(f"reduce must be 'received', 'class', a query or a (row, column), got {reduce!r}")
    if not -queries <= reduce < queries:
        raise ValueError(f"query must be in 0..{queries - 1}, got reduce={reduce}")
    return reduce
