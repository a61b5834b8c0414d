"""Learned relative positions of token blocks, which hold the parameters of `functional.relative`."""

import torch
from torch import Tensor, nn

from cv_attention.blocks.base import Device, Dtype, Factory
from cv_attention.blocks.functional.relative import relative_bias, relative_index, relative_logits


class RelativeBias(nn.Module):
    """One learned number per head and offset (Liu et al., ICCV 2021, https://arxiv.org/abs/2103.14030).

    Args:
        reach: Rows and columns of the neighbourhood; offsets run from -(reach - 1) to reach - 1.
        heads: Number of heads.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.
    """

    def __init__(self, reach: tuple[int, int], heads: int, *, device: Device = None, dtype: Dtype = None) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        self.reach = reach
        self.table = nn.Parameter(torch.empty((2 * reach[0] - 1) * (2 * reach[1] - 1), heads, **factory))
        nn.init.trunc_normal_(self.table, std=0.02)

    def forward(self, rows: Tensor, columns: Tensor) -> Tensor:
        """Looks up the biases of tiles, see `relative_bias`."""
        return relative_bias(self.table, rows, columns, self.reach)


class RelativeEmbedding(nn.Module):
    """One learned vector per offset along one axis (Shaw et al., NAACL 2018, https://arxiv.org/abs/1803.02155).

    Args:
        reach: Offsets run from -(reach - 1) to reach - 1; those beyond are clipped, as in the paper.
        depth: Length d of the vectors.
        std: Standard deviation of the initial values.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.
    """

    def __init__(self, reach: int, depth: int, *, std: float, device: Device = None, dtype: Dtype = None) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        self.reach = reach
        self.weight = nn.Parameter(torch.empty(2 * reach - 1, depth, **factory))
        nn.init.normal_(self.weight, std=std)

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Returns the vectors of ``keys - queries``, (Q,) and (K,) positions: (Q, K, d)."""
        return self.weight[relative_index(queries, keys, self.reach)]


class RelativeLogits(nn.Module):
    """One learned vector per offset of rows and of columns, and what queries make of them: ``q · (r_row + r_column)``.

    Args:
        reach: Rows and columns of the neighbourhood; offsets run from -(reach - 1) to reach - 1, those beyond are
            clipped.
        depth: Length d of the queries.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.
    """

    def __init__(self, reach: tuple[int, int], depth: int, *, device: Device = None, dtype: Dtype = None) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        self.rows = RelativeEmbedding(reach[0], depth, std=depth**-0.5, **factory)
        self.columns = RelativeEmbedding(reach[1], depth, std=depth**-0.5, **factory)

    def forward(self, query: Tensor, queries: tuple[Tensor, Tensor], keys: tuple[Tensor, Tensor]) -> Tensor:
        """Computes what is added to the scores, see `relative_logits`."""
        return relative_logits(query, self.rows.weight, self.columns.weight, queries, keys)

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
