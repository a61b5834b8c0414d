"""Relative position encodings: what depends on how far, in rows and columns, a key lies from its query."""

import torch
from torch import Tensor, nn


class RelativeBias(nn.Module):
    """One learned number per head and offset (Liu et al., ICCV 2021, https://arxiv.org/abs/2103.14030).

    Args:
        reach: Rows and columns of the neighbourhood; offsets run from -(reach - 1) to reach - 1.
        heads: Number of heads.
    """

    def __init__(self, reach: tuple[int, int], heads: int) -> None:
        super().__init__()
        self.reach = reach
        self.table = nn.Parameter(torch.empty((2 * reach[0] - 1) * (2 * reach[1] - 1), heads))
        nn.init.trunc_normal_(self.table, std=0.02)

    def forward(self, rows: Tensor, columns: Tensor) -> Tensor:
        """Looks up the biases of tiles.

        Args:
            rows: Offsets query - key, (tiles0, Q0, K0); those beyond reach take its last one.
            columns: The same along the other axis, (tiles1, Q1, K1).

        Returns:
            (heads, tiles0 * tiles1, Q0 * Q1, K0 * K1).
        """
        down, across = (reach - 1 for reach in self.reach)
        row = (rows.clamp(-down, down) + down) * (2 * across + 1)
        column = columns.clamp(-across, across) + across
        index = row[:, None, :, None, :, None] + column[None, :, None, :, None, :]
        index = index.flatten(4).flatten(2, 3).flatten(0, 1)
        return self.table[index].permute(3, 0, 1, 2)


class RelativeEmbedding(nn.Module):
    """One learned vector per offset along one axis (Shaw et al., NAACL 2018, https://arxiv.org/abs/1803.02155).

    Args:
        reach: Offsets run from -(reach - 1) to reach - 1; those beyond are clipped, as in the paper.
        depth: Length d of the vectors.
        std: Standard deviation of the initial values.
    """

    def __init__(self, reach: int, depth: int, *, std: float) -> None:
        super().__init__()
        self.reach = reach
        self.weight = nn.Parameter(torch.empty(2 * reach - 1, depth))
        nn.init.normal_(self.weight, std=std)

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Returns the vectors of ``keys - queries``, (Q,) and (K,) positions: (Q, K, d)."""
        return self.weight[self.index(queries, keys)]

    def index(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Returns the places of these vectors in `weight`: (Q, K)."""
        offset = keys - queries[:, None]
        return offset.clamp(1 - self.reach, self.reach - 1) + self.reach - 1


class RelativeLogits(nn.Module):
    """What queries make of offsets: ``q · (r_row + r_column)`` (Bello et al., ICCV 2019).

    Source: https://arxiv.org/abs/1904.09925, equation 4, which BoTNet and HaloNet use.

    Args:
        reach: Offsets run from -(reach - 1) to reach - 1; those beyond are clipped, as in the paper. , for rows and
            columns.
        depth: Length d of the queries.
    """

    def __init__(self, reach: tuple[int, int], depth: int) -> None:
        super().__init__()
        self.rows = RelativeEmbedding(reach[0], depth, std=depth**-0.5)
        self.columns = RelativeEmbedding(reach[1], depth, std=depth**-0.5)

    def forward(self, query: Tensor, queries: tuple[Tensor, Tensor], keys: tuple[Tensor, Tensor]) -> Tensor:
        """Computes what is added to the logits.

        Args:
            query: (..., Q0 * Q1, d), in raster order.
            queries: Their rows (Q0,) and columns (Q1,).
            keys: The keys' rows (K0,) and columns (K1,).

        Returns:
            (..., Q0 * Q1, K0 * K1).
        """
        # Every query meets every vector once; which key has which is looked up among the products.
        products = query @ torch.cat([self.rows.weight, self.columns.weight]).t()
        products = products.unflatten(-2, (len(queries[0]), len(queries[1])))
        by_row, by_column = products.split((len(self.rows.weight), len(self.columns.weight)), -1)
        row = self.rows.index(queries[0], keys[0])[:, None].expand(*by_row.shape[:-1], -1)
        column = self.columns.index(queries[1], keys[1]).expand(*by_column.shape[:-1], -1)
        by_row, by_column = by_row.gather(-1, row), by_column.gather(-1, column)
        return (by_row[..., :, None] + by_column[..., None, :]).flatten(-2).flatten(-3, -2)

    def among(self, query: Tensor, size: tuple[int, int]) -> Tensor:
        """Computes the same for all positions of a map (H, W) among each other, in the dtype of `query`.

        Args:
            query: (..., H*W, d).
            size: (H, W).

        Returns:
            (..., H*W, H*W).
        """
        grid = (torch.arange(size[0], device=query.device), torch.arange(size[1], device=query.device))
        return self(query, grid, grid).to(query.dtype)
