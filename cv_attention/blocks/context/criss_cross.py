"""Criss-cross attention of CCNet (Huang et al., ICCV 2019), https://arxiv.org/abs/1811.11721."""

import torch
from torch import Tensor, nn

from cv_attention.blocks.base import AttentionMap, Block, Device, Dtype, Factory, bottleneck, check_whole, zero
from cv_attention.blocks.functional.half_precision import widened, without_autocast


class CrissCrossAttention(Block):
    """Adds what a position's row and column say: ``x_i + gamma sum_j softmax_j(Q x_i . K x_j) V x_j``.

    Paper: Criss-cross attention of CCNet (Huang et al., ICCV 2019), https://arxiv.org/abs/1811.11721.

    j runs over the H + W - 1 positions of i's row and column (equations 1 and 2). The same weights are applied
    `recurrence` times: after the second time, every position has heard of every other. The logits are not
    scaled. A fresh block is an identity: gamma, not in the paper but in the official code, starts at zero.

    Maps: `maps.0`, `maps.1`, ..., one per recurrence, `pairwise`, (B, 1, H*W, H, W), zero off the cross; the last
    two axes sum to 1. In this shape they are written when observed only.

    Args:
        channels: Channels C of the input.
        reduction: Q and K have max(C // reduction, 1) channels.
        recurrence: Times R that the attention is applied.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if an argument is not a positive integer.

    Examples:
        >>> import torch
        >>> from cv_attention import blocks, record
        >>> block = blocks.CrissCrossAttention(64, recurrence=2)
        >>> with record(block) as maps:
        ...     print(block(torch.randn(2, 64, 7, 5)).shape)
        torch.Size([2, 64, 7, 5])
        >>> (maps["maps.0"].values[0, 0, 0] > 0).int()  # where the upper left position looks
        tensor([[1, 1, 1, 1, 1],
                [1, 0, 0, 0, 0],
                [1, 0, 0, 0, 0],
                [1, 0, 0, 0, 0],
                [1, 0, 0, 0, 0],
                [1, 0, 0, 0, 0],
                [1, 0, 0, 0, 0]], dtype=torch.int32)
    """

    def __init__(
        self, channels: int, *, reduction: int = 8, recurrence: int = 2, device: Device = None, dtype: Dtype = None
    ) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        inner = bottleneck(channels, reduction)
        check_whole(recurrence=recurrence)
        self.query = nn.Conv2d(channels, inner, 1, **factory)
        self.key = nn.Conv2d(channels, inner, 1, **factory)
        self.value = nn.Conv2d(channels, channels, 1, **factory)
        self.gamma = nn.Parameter(torch.zeros((), **factory))
        self.maps = nn.ModuleList(AttentionMap("pairwise") for _ in range(recurrence))

    def start_as_identity(self) -> None:
        """Zeroes the values instead of gamma, which becomes 1: they learn faster than one factor."""
        zero(self.value)
        nn.init.ones_(self.gamma)

    def forward(self, x: Tensor) -> Tensor:
        """Mixes the positions of `x` (B, C, H, W); keeps shape and memory format."""
        for observer in self.maps:
            x = x + self.gamma * self._mix(x, observer)
        return x

    def _mix(self, x: Tensor, observer: nn.Module) -> Tensor:
        """Returns the sum over the cross, (B, C, H, W)."""
        query, key, value = self.query(x), self.key(x), self.value(x)
        height, width = x.shape[2:]
        # Logits of position (h, w): against (g, w) in its column, and against (h, v) in its row.
        with without_autocast(x):
            query, key = widened(query), widened(key)
            column = torch.einsum("bchw,bcgw->bhwg", query, key)
            row = torch.einsum("bchw,bchv->bhwv", query, key)
        # The position itself counts once, in its row.
        itself = torch.eye(height, dtype=torch.bool, device=x.device)[:, None]
        weights = torch.cat([column.masked_fill(itself, -torch.inf), row], 3).softmax(3).to(value.dtype)
        column, row = weights.split([height, width], 3)
        if observer.observed:
            rows, columns = (torch.eye(n, dtype=weights.dtype, device=x.device) for n in (height, width))
            # (B, H, W, H, W): the column's weights where v = w, the row's where g = h
            cross = column[..., :, None] * columns[:, None, :] + row[..., None, :] * rows[:, None, :, None]
            observer(cross.flatten(1, 2)[:, None])
        return torch.einsum("bhwg,bcgw->bchw", column, value) + torch.einsum("bhwv,bchv->bchw", row, value)
