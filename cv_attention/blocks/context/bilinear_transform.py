"""Grouped bilinear attentional transform (Chi et al., CVPR 2020).

https://openaccess.thecvf.com/content_CVPR_2020/html/Chi_Non-Local_Neural_Networks_With_Grouped_Bilinear_Attentional_Transforms_CVPR_2020_paper.html
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cv_attention.blocks.base import AttentionMap, bottleneck, check_whole


class BilinearAttentionTransform(nn.Module):
    """Mixes rows, then columns: ``x + E(P Z Q)``, ``Z = D x``, with matrices P and Q made from the image.

    D, E and the layers before P and Q are ``relu(norm(conv))``, E two of them. P (b x b, rows sum to 1) and Q
    (columns sum to 1) are normalised sigmoids of linear maps of Z's maxima over b bands of rows and of columns;
    each group of channels has its own. P is spread over the rows as ``P ⊗ I``: a row mixes with those at the same
    place of the other bands.

    Map: `pairwise`, (B, groups, H*W, H, W), ``P_ik Q_lj``; the last two axes sum to 1. Written when observed only.

    The paper and timm need H and W divisible by b. Here the last band may be shorter or bands missing: what lies
    outside counts nothing, and the rest of each row of P still sums to 1.

    Args:
        channels: Channels C of the input.
        block_size: Bands b.
        groups: Groups of channels.
        reduction: D has max(C // reduction, 1) channels, made divisible by `groups`.
        drop_rate: Share of the added channels that are dropped in training, in [0, 1); the official code has 0.2.

    Raises:
        ValueError: if an argument is not in its range.
    """

    def __init__(
        self,
        channels: int,
        *,
        block_size: int = 7,
        groups: int = 2,
        reduction: int = 4,
        drop_rate: float = 0.0,
    ) -> None:
        super().__init__()
        inner = bottleneck(channels, reduction)
        check_whole(block_size=block_size, groups=groups)
        if not 0 <= drop_rate < 1:
            raise ValueError(f"drop_rate must be in [0, 1), got drop_rate={drop_rate!r}")
        inner = -(-inner // groups) * groups
        self.block_size, self.groups, self.drop_rate = block_size, groups, drop_rate
        self.reduce = _conv(channels, inner)
        self.squeeze = _conv(inner, groups)
        self.p = nn.Linear(groups * block_size, groups * block_size**2)
        self.q = nn.Linear(groups * block_size, groups * block_size**2)
        self.map = AttentionMap("pairwise")
        self.expand = nn.Sequential(_conv(inner, inner), _conv(inner, channels))

    def forward(self, x: Tensor) -> Tensor:
        """Mixes the positions of `x` (B, C, H, W); keeps shape and memory format."""
        z = self.reduce(x)
        squeezed = self.squeeze(z)
        p = self._matrix(self.p, squeezed.amax(3))
        q = self._matrix(self.q, squeezed.amax(2)).transpose(2, 3)
        if self.map.observed:
            self._observe(p, q, (x.shape[2], x.shape[3]))
        # Mixing columns is mixing rows of the transposed map.
        y = _mix(p, z.unflatten(1, (self.groups, -1)))
        y = _mix(q, y.transpose(3, 4)).transpose(3, 4).flatten(1, 2)
        return x + F.dropout2d(self.expand(y), self.drop_rate, self.training)

    def _matrix(self, layer: nn.Linear, maxima: Tensor) -> Tensor:
        """Returns sigmoids (B, groups, b, b) from maxima (B, groups, length)."""
        band = -(-maxima.shape[2] // self.block_size)
        # They are not negative: zeros after the end change no band's maximum.
        padded = F.pad(maxima, (0, band * self.block_size - maxima.shape[2]))
        bands = padded.unflatten(2, (self.block_size, band)).amax(3)
        return layer(bands.flatten(1)).sigmoid().unflatten(1, (self.groups, self.block_size, self.block_size))

    def _observe(self, p: Tensor, q: Tensor, size: tuple[int, int]) -> None:
        # An identity, mixed, gives the matrix that mixes: (B, groups, 1, i, k).
        rows, columns = (
            _mix(m, torch.eye(n, dtype=p.dtype, device=p.device).expand(*p.shape[:2], 1, n, n))
            for m, n in zip((p, q), size, strict=True)
        )
        product = rows[:, :, 0, :, None, :, None] * columns[:, :, 0, None, :, None, :]
        self.map(product.flatten(2, 3))


def _conv(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())


def _mix(weights: Tensor, z: Tensor) -> Tensor:
    """Mixes bands of rows: weights (B, groups, b, b), not normalised, z (B, groups, C, H, W)."""
    blocks, (height, width) = weights.shape[3], z.shape[3:]
    band = -(-height // blocks)
    padded = F.pad(z, (0, 0, 0, band * blocks - height))
    mixed = weights[:, :, None] @ padded.reshape(*z.shape[:3], blocks, band * width)
    # What the weights of the rows inside add up to, by place in the band: (b, b) @ (b, band)
    inside = (torch.arange(band * blocks, device=z.device) < height).to(weights.dtype).reshape(blocks, band)
    total = (weights @ inside)[:, :, None, :, :, None]
    return (mixed.unflatten(4, (band, width)) / total).flatten(3, 4)[:, :, :, :height]
