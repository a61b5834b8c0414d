"""Position-sensitive axial attention (Axial-DeepLab: Wang et al., ECCV 2020), https://arxiv.org/abs/2003.07853."""

import torch
from torch import Tensor, nn

from cv_attention.blocks.base import AttentionMap, Block, Device, Dtype, Factory, check_divisible, check_whole, zero
from cv_attention.blocks.functional.half_precision import widened, without_autocast
from cv_attention.blocks.tokens.relative import RelativeEmbedding


class AxialAttention(Block):
    """Attends along every column, then along every row, so that two cheap steps connect all positions.

    Paper: Position-sensitive axial attention (Axial-DeepLab: Wang et al., ECCV 2020), https://arxiv.org/abs/2003.07853.

    Along an axis, with learned vectors r per offset (equation 4):
    ``y_o = Σ_p softmax_p((q_o · k_p + q_o · r^q_(p-o) + k_p · r^k_(p-o)) / sqrt(d)) (v_p + r^v_(p-o))``.

    Differs from the official code, which normalises projections, logits and results by batch statistics instead of
    dividing by sqrt(d), and whose vectors are for one feature size: here offsets beyond `span` are clipped.

    Map: `columns.map` and `rows.map`, `pairwise`, (B, heads, H*W, H, W), zeros off the column or row; the last two
    axes sum to 1.

    Args:
        channels: Channels C of the input.
        heads: Number of heads; values have C / heads channels each, queries and keys half of that, as in the paper.
        span: Offsets along an axis with a vector of their own; the paper uses 56.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if `channels` is not divisible by `heads`, or `span` is not a positive integer.

    Examples:
        >>> import torch
        >>> from cv_attention import blocks, record
        >>> block = blocks.AxialAttention(64, heads=4, span=16)
        >>> with record(block) as maps:
        ...     print(block(torch.randn(2, 64, 7, 7)).shape)
        torch.Size([2, 64, 7, 7])
        >>> {name: tuple(map.values.shape) for name, map in maps.items()}
        {'columns.map': (2, 4, 49, 7, 7), 'rows.map': (2, 4, 49, 7, 7)}
    """

    def __init__(
        self, channels: int, *, heads: int = 8, span: int = 56, device: Device = None, dtype: Dtype = None
    ) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        check_divisible(channels=channels, heads=heads)
        check_whole(span=span)
        self.columns = _Axis(channels, heads, span, dim=1, **factory)
        self.rows = _Axis(channels, heads, span, dim=2, **factory)

    def start_as_identity(self) -> None:
        """Zeroes the rows' values: the block returns zeros, to be added to its input."""
        rows = self.rows
        by_head = rows.qkv.weight.detach().unflatten(0, (rows.heads, -1))
        nn.init.zeros_(by_head[:, 2 * rows.depth :])
        zero(rows.to_value)

    def forward(self, x: Tensor) -> Tensor:
        """Mixes the positions of `x` (B, C, H, W); the result is laid out channels_last."""
        return self.rows(self.columns(x.permute(0, 2, 3, 1).contiguous())).permute(0, 3, 1, 2)


class _Axis(nn.Module):
    """Attention of (B, H, W, C) along axis `dim`, 1 or 2."""

    def __init__(
        self, channels: int, heads: int, span: int, *, dim: int, device: Device = None, dtype: Dtype = None
    ) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        self.heads = heads
        self.dim = dim
        depth = channels // heads
        self.depth = max(depth // 2, 1)
        self.qkv = nn.Linear(channels, heads * (2 * self.depth + depth), bias=False, **factory)
        nn.init.normal_(self.qkv.weight, std=channels**-0.5)
        self.to_query = RelativeEmbedding(span, self.depth, std=depth**-0.5, **factory)
        self.to_key = RelativeEmbedding(span, self.depth, std=depth**-0.5, **factory)
        self.to_value = RelativeEmbedding(span, depth, std=depth**-0.5, **factory)
        self.map = AttentionMap("pairwise")

    def forward(self, x: Tensor) -> Tensor:
        other = 3 - self.dim
        # (B, lines, length, heads * ...) -> (B, heads, lines, length, ...)
        qkv = self.qkv(x).transpose(other, 1).unflatten(3, (self.heads, -1)).permute(0, 3, 1, 2, 4)
        query, key, value = qkv.split((self.depth, self.depth, qkv.shape[-1] - 2 * self.depth), -1)
        place = torch.arange(x.shape[self.dim], device=x.device)
        with without_autocast(x):
            query, key = widened(query) * self.depth**-0.5, widened(key)
            logits = query @ key.transpose(-2, -1)
            logits = logits + torch.einsum("bhlid,ijd->bhlij", query, widened(self.to_query(place, place)))
            by_key = widened(self.to_key(place, place)) * self.depth**-0.5
            logits = logits + torch.einsum("bhljd,ijd->bhlij", key, by_key)
        weights = logits.softmax(-1)
        if self.map.observed:
            weights = self._seen(weights)
        weights = weights.to(value.dtype)
        mixed = weights @ value + torch.einsum("bhlij,ijd->bhlid", weights, self.to_value(place, place))
        # (B, heads, lines, length, d) -> (B, H, W, C)
        return mixed.permute(0, 2, 3, 1, 4).flatten(3).transpose(other, 1).contiguous()

    def _seen(self, weights: Tensor) -> Tensor:
        """Shows `weights` (B, heads, lines, length, length) on the whole map."""
        same_line = torch.eye(weights.shape[2], dtype=weights.dtype, device=weights.device)
        if self.dim == 2:  # (B, heads, H, W, 1, W) on (H, 1, H, 1)
            whole = weights[..., None, :] * same_line[:, None, :, None]
        else:  # (B, heads, H, W, H, 1) on (W, 1, W)
            whole = weights.permute(0, 1, 3, 2, 4)[..., None] * same_line[:, None, :]
        seen = self.map(whole.flatten(2, 3)).unflatten(2, whole.shape[2:4])
        if self.dim == 2:
            return seen.diagonal(dim1=2, dim2=4).permute(0, 1, 4, 2, 3)
        return seen.diagonal(dim1=3, dim2=5).permute(0, 1, 4, 2, 3)
