"""Grouped bilinear attentional transform (Chi et al., CVPR 2020).

https://openaccess.thecvf.com/content_CVPR_2020/html/Chi_Non-Local_Neural_Networks_With_Grouped_Bilinear_Attentional_Transforms_CVPR_2020_paper.html
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cv_attention.blocks.base import (
    STEEP,
    AttentionMap,
    Block,
    Device,
    Dtype,
    Factory,
    bottleneck,
    check_number,
    check_whole,
    zero,
)
from cv_attention.blocks.functional.gating import times


class BilinearAttentionTransform(Block):
    """Mixes rows, then columns: ``x + E(P Z Q)``, ``Z = D x``, with matrices P and Q made from the image.

    Paper: Grouped bilinear attentional transform (Chi et al., CVPR 2020),
    https://openaccess.thecvf.com/content_CVPR_2020/html/Chi_Non-Local_Neural_Networks_With_Grouped_Bilinear_Attentional_Transforms_CVPR_2020_paper.html.

    D, E and the layers before P and Q are ``relu(norm(conv))``, E two of them. P (b x b, rows sum to 1) and Q
    (columns sum to 1) are normalised sigmoids of linear maps of Z's maxima over b bands of rows and of columns;
    each group of channels has its own. P is spread over the rows as ``P ⊗ I``: a row mixes with those at the same
    place of the other bands.

    Map: `pairwise`, (B, groups, H*W, H, W), ``P_ik Q_lj``; the last two axes sum to 1. Written when observed only.

    The paper and timm need H and W divisible by b. Here the last band may be shorter or bands missing: what lies
    outside counts nothing, and the rest of each row of P still sums to 1.

    Args:
        channels: Channels C of the input.
        block_size: Number b of bands.
        groups: Number of groups of channels, each with its own P and Q.
        reduction: D has max(C // reduction, 1) channels, made divisible by `groups`.
        drop_rate: Share of the added channels that are dropped in training, in [0, 1); timm has 0.2.
        device: Device of parameters and buffers; None takes torch's default.
        dtype: Floating type of parameters and buffers; None takes torch's default.

    Raises:
        ValueError: if an argument is not in its range.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import BilinearAttentionTransform
        >>> block = BilinearAttentionTransform(64, block_size=7, groups=4)
        >>> block(torch.randn(2, 64, 14, 14)).shape
        torch.Size([2, 64, 14, 14])
        >>> block.p  # makes four 7 x 7 matrices P from the maxima of four groups' bands
        Linear(in_features=28, out_features=196, bias=True)
    """

    gain: float = 1.0  # what multiplies the last norm; `STEEP` where its scale starts at zero

    def __init__(
        self,
        channels: int,
        *,
        block_size: int = 7,
        groups: int = 2,
        reduction: int = 4,
        drop_rate: float = 0.0,
        device: Device = None,
        dtype: Dtype = None,
    ) -> None:
        super().__init__()
        factory: Factory = {"device": device, "dtype": dtype}
        inner = bottleneck(channels, reduction)
        check_whole(block_size=block_size, groups=groups)
        check_number(drop_rate=drop_rate)
        if not 0 <= drop_rate < 1:
            raise ValueError(f"drop_rate must be in [0, 1), got drop_rate={drop_rate!r}")
        inner = -(-inner // groups) * groups
        self.block_size, self.groups, self.drop_rate = block_size, groups, drop_rate
        self.reduce = _conv(channels, inner, factory)
        self.squeeze = _conv(inner, groups, factory)
        self.p = nn.Linear(groups * block_size, groups * block_size**2, **factory)
        self.q = nn.Linear(groups * block_size, groups * block_size**2, **factory)
        self.map = AttentionMap("pairwise")
        self.expand = nn.Sequential(_conv(inner, inner, factory), _conv(inner, channels, factory))

    def start_as_identity(self) -> None:
        """Zeroes the last norm and leaves out the relu behind it, which would let no gradient through."""
        last = self.expand[1]
        assert isinstance(last, nn.Sequential)
        zero(last[1])
        last[2], self.gain = nn.Identity(), STEEP

    def forward(self, x: Tensor) -> Tensor:
        """Mixes the positions of `x` (B, C, H, W); keeps shape and memory format."""
        z = self.reduce(x)
        squeezed = self.squeeze(z)
        p, q = self._matrix(self.p, squeezed.amax(3)), self._matrix(self.q, squeezed.amax(2), transposed=True)
        if self.map.observed:
            product = p[:, :, :, None, :, None] * q.transpose(2, 3)[:, :, None, :, None, :]
            self.map(product.flatten(2, 3))
        grouped = z.unflatten(1, (self.groups, -1))
        y = p[:, :, None] @ (grouped.flatten(2, 3) @ q).unflatten(2, grouped.shape[2:4])
        y = self.expand(y.flatten(1, 2))
        return x + F.dropout2d(times(y, self.gain), self.drop_rate, self.training)

    def _matrix(self, layer: nn.Linear, maxima: Tensor, *, transposed: bool = False) -> Tensor:
        """Returns the matrix (B, groups, L, L) that mixes L lines, from their maxima (B, groups, L)."""
        blocks, length = self.block_size, maxima.shape[2]
        band = -(-length // blocks)
        # They are not negative: zeros after the end change no band's maximum.
        bands = F.pad(maxima, (0, band * blocks - length)).unflatten(2, (blocks, band)).amax(3)
        small = F.logsigmoid(layer(bands.flatten(1))).unflatten(1, (self.groups, blocks, blocks))
        line = torch.arange(length, device=maxima.device)
        among = line % band == line[:, None] % band
        full = small[:, :, line // band][:, :, :, line // band].masked_fill(~among, -torch.inf)
        # The sigmoids over their sum; where all of them vanish, their logarithms do not.
        return full.softmax(2 if transposed else 3).to(maxima.dtype)


def _conv(inputs: int, outputs: int, factory: Factory) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 1, bias=False, **factory), nn.BatchNorm2d(outputs, **factory), nn.ReLU()
    )
