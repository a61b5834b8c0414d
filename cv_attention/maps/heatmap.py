"""Any attention map over positions as a heatmap (B, 1, H, W)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from cv_attention.maps.recorded import RecordedMap, Windows, check_map


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
        ValueError: for maps without a grid (kind ``channel``, ``alignment`` or ``places``), and for a query or head
            that it lacks.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> block = cva.blocks.MultiHeadSelfAttention(8, heads=2)
        >>> with cva.record(block) as maps:
        ...     y = block(torch.randn(1, 8, 7, 7))
        >>> cva.to_heatmap(maps["map"], size=224).shape
        torch.Size([1, 1, 224, 224])
        >>> cva.to_heatmap(maps["map"], reduce=(3, 3), head=0).shape  # where the centre looks, in one head
        torch.Size([1, 1, 7, 7])
    """
    if check_map(map).kind == "pairwise":
        values = head_heatmaps(map, reduce=reduce)
        if head is not None and not -values.shape[1] <= head < values.shape[1]:
            raise ValueError(f"head must be in 0..{values.shape[1] - 1}, got head={head}")
        values = values.mean(dim=1, keepdim=True) if head is None else values[:, head].unsqueeze(1)
    elif map.kind == "joint":
        values = map.values.float().mean(dim=1, keepdim=True)
    elif map.kind == "spatial":
        values = map.values.float()
    elif map.kind == "places":
        raise ValueError("places are points, not weights of positions, and cannot be a heatmap; see maps.place_boxes")
    else:
        raise ValueError(
            f"a map of kind {map.kind!r}, shape {tuple(map.values.shape)}, has no positions and cannot be a heatmap; "
            "the report shows it as bars"
        )
    return _resized(values, size)


def head_heatmaps(
    map: RecordedMap, size: int | tuple[int, int] | None = None, *, reduce: str | int | tuple[int, int] = "received"
) -> Tensor:
    """Reduces a pairwise map to a heatmap for each head, raw.

    Args:
        map: A map of kind ``pairwise``.
        size: Height and width to resize to (bilinear, ``align_corners=False``); None keeps the map's own.
        reduce: ``"received"`` averages over all queries; a number takes that query; (row, column) takes the query at
            that position of the grid; ``"class"`` takes the class token's query.

    Returns:
        (B, heads, H, W) float32, on the map's device.

    Raises:
        ValueError: for maps of other kinds, and for queries that the map has not.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> block = cva.blocks.MultiHeadSelfAttention(8, heads=2)
        >>> with cva.record(block) as maps:
        ...     y = block(torch.randn(1, 8, 7, 7))
        >>> cva.maps.head_heatmaps(maps["map"], size=224).shape
        torch.Size([1, 2, 224, 224])
    """
    _check_pairwise(map)
    values, windows = map.values, map.windows
    if reduce == "class":
        return _resized(map.from_prefix[:, :, 0].float(), size)
    if reduce != "received":
        grid = windows.grid if windows else (values.shape[3], values.shape[4])
        number = _query_number(reduce, values.shape[2], grid)
        return _resized(_rows(map, [number])[:, :, 0], size)
    if windows is None:
        return _resized(values.mean(dim=2, dtype=torch.float32), size)
    # a sum over all windows is one grid, without the matrix of all positions by all
    received = values.new_zeros(*values.shape[:2], windows.grid[0] * windows.grid[1] + 1, dtype=torch.float32)
    keys = windows.keys.to(values.device).flatten()
    received = received.index_add(2, keys.where(keys >= 0, received.shape[2] - 1), values.flatten(2).float())
    return _resized(received[..., :-1].unflatten(2, windows.grid) / values.shape[2], size)


def query_heatmaps(map: RecordedMap, size: int | tuple[int, int] | None = None, *, head: int | None = None) -> Tensor:
    """Computes a heatmap for each query of a pairwise map, raw: where each position looks.

    Args:
        map: A map of kind ``pairwise``.
        size: Height and width to resize to (bilinear, ``align_corners=False``); None keeps the map's own.
        head: Take this head and do not average over heads.

    Returns:
        (B, queries, H, W) float32, on the map's device; as large as queries times positions.

    Raises:
        ValueError: for maps of other kinds, and for heads that the map has not.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> block = cva.blocks.MultiHeadSelfAttention(8, heads=2)
        >>> with cva.record(block) as maps:
        ...     y = block(torch.randn(1, 8, 7, 7))
        >>> cva.maps.query_heatmaps(maps["map"]).shape  # one 7 x 7 heatmap for each of 49 queries
        torch.Size([1, 49, 7, 7])
    """
    _check_pairwise(map)
    heads = map.values.shape[1]
    if head is not None and not -heads <= head < heads:
        raise ValueError(f"head must be in 0..{heads - 1}, got head={head}")
    values = map.dense().values
    return _resized(values.mean(dim=1, dtype=torch.float32) if head is None else values[:, head].float(), size)


def _check_pairwise(map: RecordedMap) -> None:
    if check_map(map).kind != "pairwise":
        raise ValueError(f"only pairwise maps have heads and queries over positions, got kind {map.kind!r}")


def _resized(values: Tensor, size: int | tuple[int, int] | None) -> Tensor:
    if size is None:
        return values
    height, width = (size, size) if isinstance(size, int) else size
    return F.interpolate(values, (height, width), mode="bilinear", align_corners=False)


def _rows(map: RecordedMap, queries: list[int]) -> Tensor:
    """(B, heads, queries, H, W) of some queries, put back on the grid."""
    windows = Windows(map.windows.keys[queries], map.windows.grid) if map.windows else None
    return RecordedMap(map.values[:, :, queries], "pairwise", windows=windows).dense().values.float()


def _query_number(reduce: str | int | tuple[int, int], queries: int, grid: tuple[int, int]) -> int:
    """Returns which of the queries is meant."""
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
