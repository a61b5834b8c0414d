"""Local attention: within tiles of a feature map, each with a margin around it or without.

Windows (Liu et al., ICCV 2021, https://arxiv.org/abs/2103.14030), blocks with a halo (Vaswani et al., CVPR 2021,
https://arxiv.org/abs/2103.12731) and neighbourhoods (Hassani et al., CVPR 2023, https://arxiv.org/abs/2204.07143).
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from cv_attention.blocks.functional.attention import Observe, attend, attention_weights

Size = tuple[int, int]  # rows, columns


def cut(x: Tensor, heads: int, tile: Size, halo: Size = (0, 0)) -> Tensor:
    """Cuts a feature map into tiles, each with a margin around it; zeros where there is no map.

    Args:
        x: (B, H, W, C), the channels head by head.
        heads: Number of heads.
        tile: Rows and columns of a tile.
        halo: Rows and columns of the margin on each side.

    Returns:
        (B, heads, tiles, T, C / heads), T = (tile[0] + 2 halo[0]) * (tile[1] + 2 halo[1]); tiles in raster order
        from the upper left corner, the last ones reach beyond the map.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import functional
        >>> functional.cut(torch.arange(4.0).view(1, 1, 4, 1), heads=1, tile=(1, 2), halo=(0, 1))[0, 0, :, :, 0]
        tensor([[0., 0., 1., 2.],
                [1., 2., 3., 0.]])
        >>> functional.cut(torch.randn(2, 14, 14, 64), heads=4, tile=(7, 7)).shape
        torch.Size([2, 4, 4, 49, 16])
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


def join(x: Tensor, tile: Size, size: Size) -> Tensor:
    """Undoes `cut` without a halo.

    Args:
        x: (B, heads, tiles, T, d).
        tile: Rows and columns of a tile.
        size: (H, W) of the feature map.

    Returns:
        (B, H, W, heads * d).

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import functional
        >>> x = torch.randn(2, 5, 7, 8)
        >>> tiles = functional.cut(x, heads=4, tile=(3, 3))
        >>> torch.equal(functional.join(tiles, tile=(3, 3), size=(5, 7)), x)
        True
    """
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
    """Turns visibility into a bias of the scores: 0, or -inf where a key is not seen."""
    return torch.zeros(visible.shape, dtype=dtype, device=visible.device).masked_fill(~visible, float("-inf"))


def attend_in_tiles(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    size: Size,
    queries: tuple[Tensor, Tensor],
    keys: tuple[Tensor, Tensor],
    bias: Tensor,
    observe: Observe | None = None,
) -> Tensor:
    """Computes ``softmax(q kᵀ / sqrt(d) + bias) v`` in every tile, by the fastest kernel unless weights are to be seen.

    Args:
        query: (B, heads, tiles, Q, d).
        key: (B, heads, tiles, K, d).
        value: (B, heads, tiles, K, v).
        size: (H, W) of the whole map.
        queries: Rows and columns of the queries, each (tiles along the axis, Q along the axis).
        keys: Rows and columns of the keys, each (tiles along the axis, K along the axis).
        bias: Added to the scores, broadcastable to (B, heads, tiles, Q, K); -inf hides a key.
        observe: Is given the weights among all positions (B, heads, H*W, H*W), zeros outside a tile, and returns those
            to use; None does not write them.

    Returns:
        (B, heads, tiles, Q, v).

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import functional
        >>> query, key, value = functional.cut(torch.randn(2, 4, 6, 3 * 8), heads=3, tile=(2, 2)).chunk(3, 1)
        >>> places = torch.arange(4).view(2, 2), torch.arange(6).view(3, 2)  # two tiles of rows, three of columns
        >>> y = functional.attend_in_tiles(
        ...     query, key, value, size=(4, 6), queries=places, keys=places, bias=torch.zeros(1, 1, 1, 4, 4)
        ... )
        >>> y.shape
        torch.Size([2, 1, 6, 4, 8])
        >>> functional.join(y, tile=(2, 2), size=(4, 6)).shape
        torch.Size([2, 4, 6, 8])
    """
    bias = bias.to(query.dtype)
    if observe is None:
        # Heads and tiles are one axis to the kernel, which then broadcasts the bias over the batch.
        bias = bias.expand(bias.shape[0], *query.shape[1:4], key.shape[3]).flatten(1, 2)
        flat = [tensor.flatten(1, 2) for tensor in (query, key, value)]
        return attend(*flat, bias=bias).unflatten(1, query.shape[1:3])
    weights = attention_weights(query, key, attn_mask=bias)
    index = (_flat(*queries, size)[:, :, None], _flat(*keys, size)[:, None, :])
    count = size[0] * size[1]
    # One row and column more than there are positions take what lies off the map.
    whole = weights.new_zeros(*weights.shape[:2], count + 1, count + 1)
    whole[:, :, index[0], index[1]] = weights
    whole = observe(whole[:, :, :count, :count])
    return F.pad(whole, (0, 1, 0, 1))[:, :, index[0], index[1]].to(value.dtype) @ value


def _flat(rows: Tensor, columns: Tensor, size: Size) -> Tensor:
    """Numbers the positions of every tile, (tiles, T), in raster order; H * W off the map."""
    there = over_both(_there(rows, size[0])[:, None], _there(columns, size[1])[:, None])[:, 0]
    index = (rows * size[1])[:, None, :, None] + columns[None, :, None, :]
    return index.flatten(2).flatten(0, 1).masked_fill(~there, size[0] * size[1])


def _there(positions: Tensor, size: int) -> Tensor:
    return (positions >= 0) & (positions < size)
