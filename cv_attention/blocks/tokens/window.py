"""Window and shifted window attention (Swin: Liu et al., ICCV 2021), https://arxiv.org/abs/2103.14030."""

import torch
from torch import Tensor, nn

from cv_attention.blocks.base import AttentionMap, Block, Device, Dtype, Factory, check_divisible, check_whole, zero
from cv_attention.blocks.functional.local import along, attend_in_tiles, cut, hide, join, over_both
from cv_attention.blocks.tokens.relative import RelativeBias


class WindowAttention(Block):
    """Self-attention inside windows of M x M positions: ``softmax(Q Kᵀ / sqrt(d) + B) V``, then W_o.

    Paper: Window and shifted window attention (Swin: Liu et al., ICCV 2021), https://arxiv.org/abs/2103.14030.

    B is a learned number per head and relative position. With `shift` the windows lie that much lower and further
    right; at the map's border they are cut off (the official code's cyclic shift and mask). Two blocks in a row, the
    second with ``shift = window_size // 2``, connect neighbouring windows.

    Differs from the official code in two points. A map that no windows fit is padded there with zeros that take part;
    here the padding is hidden, so that a position's result does not depend on how the padding falls. And an axis is
    left unshifted when one window covers it, as torchvision does, where the official code shrinks the window.

    Map: `pairwise`, (B, heads, H*W, H, W), zeros outside the window; the last two axes sum to 1.

    Args:
        channels: Channels C of the input.
        heads: Number of heads; d = C / heads.
        window_size: Side M of a window, in positions.
        shift: Rows and columns by which the windows are shifted, below `window_size`; the paper's M // 2, or 0.
        qkv_bias: Whether the query, key and value projections have biases.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if `channels` is not divisible by `heads`, or `shift` does not lie in [0, window_size).

    Examples:
        >>> import torch
        >>> from cv_attention import blocks, record
        >>> model = torch.nn.Sequential(blocks.WindowAttention(64), blocks.WindowAttention(64, shift=3))
        >>> with record(model) as maps:
        ...     print(model(torch.randn(1, 64, 14, 14)).shape)
        torch.Size([1, 64, 14, 14])
        >>> [int((map.values[0, 0, 0] > 0).sum()) for map in maps.values()]  # the shift cuts the first window off
        [49, 9]
    """

    def __init__(
        self,
        channels: int,
        *,
        heads: int = 4,
        window_size: int = 7,
        shift: int = 0,
        qkv_bias: bool = True,
        device: Device = None,
        dtype: Dtype = None,
    ) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        check_divisible(channels=channels, heads=heads)
        check_whole(window_size=window_size)
        if isinstance(shift, bool) or not isinstance(shift, int) or not 0 <= shift < window_size:
            raise ValueError(f"shift must be a whole number in [0, window_size), got {shift=!r}, {window_size=}")
        self.heads = heads
        self.window_size = window_size
        self.shift = shift
        self.qkv = nn.Linear(channels, 3 * channels, bias=qkv_bias, **factory)
        self.position = RelativeBias((window_size, window_size), heads, **factory)
        self.project = nn.Linear(channels, channels, **factory)
        for layer in (self.qkv, self.project):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        self.map = AttentionMap("pairwise")

    def start_as_identity(self) -> None:
        """Zeroes the last layer: the block returns zeros, to be added to its input."""
        zero(self.project)

    def forward(self, x: Tensor) -> Tensor:
        """Mixes the positions of `x` (B, C, H, W); the result is laid out channels_last."""
        size, tile = (x.shape[2], x.shape[3]), (self.window_size, self.window_size)
        shifts = [self.shift if length > self.window_size else 0 for length in size]
        padding = [-length % self.window_size for length in size]
        qkv = self.qkv(x.permute(0, 2, 3, 1).contiguous())
        if any(padding):
            qkv = nn.functional.pad(qkv, (0, 0, 0, padding[1], 0, padding[0]))
        if any(shifts):
            qkv = qkv.roll((-shifts[0], -shifts[1]), (1, 2))
        query, key, value = cut(qkv, 3 * self.heads, tile).chunk(3, 1)

        inside = torch.arange(self.window_size, device=x.device)
        offsets = (inside[:, None] - inside)[None]
        bias = self.position(offsets, offsets)
        padded = [length + extra for length, extra in zip(size, padding, strict=True)]
        places, parts = zip(
            *(self._axis(*axis, x.device) for axis in zip(size, padded, shifts, strict=True)), strict=True
        )
        if any(padding) or any(shifts):
            rows, columns = (part[:, :, None] == part[:, None, :] for part in parts)
            bias = bias + hide(over_both(rows, columns), bias.dtype)
        mixed = attend_in_tiles(
            query, key, value, size=size, queries=places, keys=places, bias=bias[None], observe=self.map.over(size)
        )
        mixed = join(mixed, tile, (padded[0], padded[1]))
        if any(shifts):
            mixed = mixed.roll((shifts[0], shifts[1]), (1, 2))
        return self.project(mixed[:, : size[0], : size[1]].contiguous()).permute(0, 3, 1, 2)

    def _axis(self, size: int, padded: int, shift: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Returns along one axis the windows' positions and the part of the window that each belongs to."""
        rolled, _ = along(padded, self.window_size, device=device)
        place = (rolled + shift) % padded
        # Positions see those of their own part: not wrapped around, wrapped around, or padding.
        part = (rolled + shift >= padded).long().masked_fill(place >= size, 2)
        return place, part
