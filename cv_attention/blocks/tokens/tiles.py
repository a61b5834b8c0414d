"""Attention inside tiles of a feature map: cutting it up, hiding what is off it, showing the map on all of it."""

import torch
from torch import Tensor
from torch.nn import functional as F

from cv_attention.blocks.base import AttentionMap
from cv_attention.blocks.tokens.attend import attend_unseen, logits_of

Pair = tuple[int, int]


def cut(x: Tensor, heads: int, tile: Pair, halo: Pair = (0, 0)) -> Tensor:
    """Cuts `x` (B, H, W, C) into tiles, each with a margin of `halo` around it; zeros where there is no map.

    Returns:
        (B, heads, tiles, T, C / heads), T = (tile[0] + 2 halo[0]) * (tile[1] + 2 halo[1]); tiles in raster order
        from the upper left corner, the last ones reach beyond the map.
    """
    _, height, width, _ = x.shape
    bottom, right = -height % tile[0], -width % tile[1]
    if bottom or right or any(halo):
        x = F.pad(x, (0, 0, halo[1], right + halo[1], halo[0], bottom + halo[0]))
    if any(halo):
        # (B, rows, columns, C, T0, T1), overlapping views
        x = x.unfold(1, tile[0] + 2 * halo[0], tile[0]).unfold(2, tile[1] + 2 * halo[1], tile[1])
        x = x.unflatten(3, (heads, -1)).permute(0, 3, 1, 2, 5, 6, 4)
    else:
        x = x.unflatten(1, (-1, tile[0])).unflatten(3, (-1, tile[1])).unflatten(5, (heads, -1))
        x = x.permute(0, 5, 1, 3, 2, 4, 6)
    batch, heads, rows, columns, *inside, depth = x.shape
    return x.reshape(batch, heads, rows * columns, inside[0] * inside[1], depth)


def join(x: Tensor, tile: Pair, size: Pair) -> Tensor:
    """Undoes `cut` without halo: (B, heads, tiles, T, d) becomes (B, H, W, heads * d), size = (H, W)."""
    rows, columns = -(-size[0] // tile[0]), -(-size[1] // tile[1])
    x = x.unflatten(3, tile).unflatten(2, (rows, columns)).permute(0, 2, 4, 3, 5, 1, 6)
    x = x.reshape(x.shape[0], rows * tile[0], columns * tile[1], -1)
    return x[:, : size[0], : size[1]]


def along(size: int, tile: int, halo: int = 0, *, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
    """Returns along one axis where `cut`'s elements lie: (tiles, tile) and, with halo, (tiles, tile + 2 halo).

    Positions below 0 and from `size` on are off the map.
    """
    start = torch.arange(0, size, tile, device=device)[:, None]
    return start + torch.arange(tile, device=device), start + torch.arange(-halo, tile + halo, device=device)


def over_both(rows: Tensor, columns: Tensor) -> Tensor:
    """Combines what rows see, (tiles0, Q0, K0), and columns, (tiles1, Q1, K1): (tiles, Q0 * Q1, K0 * K1)."""
    both = rows[:, None, :, None, :, None] & columns[None, :, None, :, None, :]
    return both.flatten(4).flatten(2, 3).flatten(0, 1)


def hide(visible: Tensor, dtype: torch.dtype) -> Tensor:
    """Turns what is visible into what is added to the logits: 0, or -inf where it is not."""
    return torch.zeros(visible.shape, dtype=dtype, device=visible.device).masked_fill(~visible, float("-inf"))


def attend_in_tiles(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    observer: AttentionMap,
    size: Pair,
    *,
    queries: tuple[Tensor, Tensor],
    keys: tuple[Tensor, Tensor],
    bias: Tensor,
) -> Tensor:
    """Computes ``softmax(q kᵀ / sqrt(d) + bias) v`` in every tile, in the fastest way unless `observer` is observed.

    Args:
        query: (B, heads, tiles, Q, d).
        key: (B, heads, tiles, K, d).
        value: (B, heads, tiles, K, v).
        observer: `pairwise` map, which sees (B, heads, H*W, H, W), zeros outside the tile.
        size: (H, W) of the whole map.
        queries: Rows and columns of the queries, each (tiles along the axis, Q along the axis).
        keys: The same of the keys.
        bias: Added to the logits, broadcastable to (B, heads, tiles, Q, K); -inf hides a key.

    Returns:
        (B, heads, tiles, Q, v).
    """
    bias = bias.to(query.dtype)
    if not observer.observed:
        # Heads and tiles are one axis to the kernel, which then broadcasts the bias over the batch.
        bias = bias.expand(bias.shape[0], *query.shape[1:4], key.shape[3]).flatten(1, 2)
        flat = [tensor.flatten(1, 2) for tensor in (query, key, value)]
        return attend_unseen(*flat, bias=bias).unflatten(1, query.shape[1:3])
    weights = logits_of(query * query.shape[-1] ** -0.5, key, bias).softmax(-1)
    index = (_flat(*queries, size)[:, :, None], _flat(*keys, size)[:, None, :])
    count = size[0] * size[1]
    # One row and column more than there are positions take what lies off the map.
    whole = weights.new_zeros(*weights.shape[:2], count + 1, count + 1)
    whole[:, :, index[0], index[1]] = weights
    whole = observer(whole[:, :, :count, :count].unflatten(-1, size)).flatten(-2)
    return F.pad(whole, (0, 1, 0, 1))[:, :, index[0], index[1]].to(value.dtype) @ value


def _flat(rows: Tensor, columns: Tensor, size: Pair) -> Tensor:
    """Numbers the positions of every tile, (tiles, T), in raster order; H * W off the map."""
    there = over_both(_there(rows, size[0])[:, None], _there(columns, size[1])[:, None])[:, 0]
    index = (rows * size[1])[:, None, :, None] + columns[None, :, None, :]
    return index.flatten(2).flatten(0, 1).masked_fill(~there, size[0] * size[1])


def _there(positions: Tensor, size: int) -> Tensor:
    return (positions >= 0) & (positions < size)
