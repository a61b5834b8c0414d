"""Relative positions: what depends on how far, in rows and columns, a key lies from its query."""

import torch
from torch import Tensor


def relative_index(queries: Tensor, keys: Tensor, reach: int) -> Tensor:
    """Numbers offsets along one axis, clipped as in Shaw et al. (NAACL 2018, https://arxiv.org/abs/1803.02155).

    Args:
        queries: Positions of the queries, (Q,).
        keys: Positions of the keys, (K,).
        reach: Offsets run from -(reach - 1) to reach - 1; those beyond take the last one.

    Returns:
        (Q, K): ``clip(key - query) + reach - 1``, from 0 to 2 reach - 2.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import functional
        >>> functional.relative_index(torch.arange(3), torch.arange(3), reach=2)
        tensor([[1, 2, 2],
                [0, 1, 2],
                [0, 0, 1]])
    """
    return (keys - queries[:, None]).clamp(1 - reach, reach - 1) + reach - 1


def relative_bias(table: Tensor, rows: Tensor, columns: Tensor, reach: tuple[int, int]) -> Tensor:
    """Looks up one number per head and offset (Liu et al., ICCV 2021, https://arxiv.org/abs/2103.14030).

    Args:
        table: ((2 reach[0] - 1) * (2 reach[1] - 1), heads), offsets in raster order.
        rows: Offsets query - key along the rows, (tiles0, Q0, K0); those beyond reach take its last one.
        columns: Offsets query - key along the columns, (tiles1, Q1, K1).
        reach: Offsets run from -(reach - 1) to reach - 1, along rows and along columns.

    Returns:
        (heads, tiles0 * tiles1, Q0 * Q1, K0 * K1), to be added to the scores.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import functional
        >>> table = torch.randn(3 * 3, 4)  # offsets -1, 0 and 1 of rows and of columns; 4 heads
        >>> places = torch.arange(2)
        >>> offsets = (places[:, None] - places)[None]  # one tile of 2 x 2 positions
        >>> functional.relative_bias(table, offsets, offsets, reach=(2, 2)).shape
        torch.Size([4, 1, 4, 4])
    """
    down, across = reach[0] - 1, reach[1] - 1
    row = (rows.clamp(-down, down) + down) * (2 * across + 1)
    column = columns.clamp(-across, across) + across
    index = row[:, None, :, None, :, None] + column[None, :, None, :, None, :]
    index = index.flatten(4).flatten(2, 3).flatten(0, 1)
    return table[index].permute(3, 0, 1, 2)


def relative_logits(
    query: Tensor,
    rows: Tensor,
    columns: Tensor,
    queries: tuple[Tensor, Tensor],
    keys: tuple[Tensor, Tensor],
) -> Tensor:
    """Computes ``q · (r_row + r_column)``, equation 4 of Bello et al. (ICCV 2019, https://arxiv.org/abs/1904.09925).

    BoTNet and HaloNet use it too.

    Args:
        query: (..., Q0 * Q1, d), in raster order.
        rows: A vector for every offset of rows, (2 reach - 1, d), from -(reach - 1) on; offsets beyond are clipped.
        columns: A vector for every offset of columns, (2 reach - 1, d).
        queries: The queries' rows (Q0,) and columns (Q1,).
        keys: The keys' rows (K0,) and columns (K1,).

    Returns:
        (..., Q0 * Q1, K0 * K1), to be added to the scores.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import functional
        >>> query, vectors = torch.ones(1, 6, 1), torch.tensor([[-1.0], [0.0], [1.0]])  # reach 2, depth 1
        >>> places = torch.arange(2), torch.arange(3)
        >>> logits = functional.relative_logits(query, vectors, vectors, places, places)
        >>> logits[0, 0].view(2, 3)  # of the first query, for each key
        tensor([[0., 1., 1.],
                [1., 2., 2.]])
    """
    # Every query meets every vector once; which key has which is looked up among the products.
    products = query @ torch.cat([rows, columns]).t()
    products = products.unflatten(-2, (len(queries[0]), len(queries[1])))
    by_row, by_column = products.split((len(rows), len(columns)), -1)
    row = relative_index(queries[0], keys[0], (len(rows) + 1) // 2)[:, None].expand(*by_row.shape[:-1], -1)
    column = relative_index(queries[1], keys[1], (len(columns) + 1) // 2).expand(*by_column.shape[:-1], -1)
    by_row, by_column = by_row.gather(-1, row), by_column.gather(-1, column)
    return (by_row[..., :, None] + by_column[..., None, :]).flatten(-2).flatten(-3, -2)
