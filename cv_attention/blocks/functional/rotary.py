"""Rotary position encoding (Su et al., 2021, https://arxiv.org/abs/2104.09864) of a feature map's positions.

Axial in two dimensions: Heo et al., ECCV 2024, https://arxiv.org/abs/2403.13298.
"""

import torch
from torch import Tensor


def rotate_2d(x: Tensor, height: int, width: int, *, theta: float = 100.0) -> Tensor:
    """Turns pairs of channels by angles that grow with the row and the column of their position.

    Papers: rotary position encoding (Su et al., 2021), https://arxiv.org/abs/2104.09864; axial in two dimensions
    (Heo et al., ECCV 2024), https://arxiv.org/abs/2403.13298.

    With m = d // 4 and frequencies w_i = theta^(-i / m), the pairs of neighbouring channels (0, 1), (2, 3), ... turn
    by row * w_0, ..., row * w_(m-1), column * w_0, ..., column * w_(m-1); up to three channels that are left over
    stay. The product of a query and a key then depends on their offset alone.

    Args:
        x: Queries or keys, (B, heads, height * width, d), in raster order.
        height: Rows H.
        width: Columns W.
        theta: Base of the frequencies; 100 in the second paper, as a feature map has fewer positions than a text.

    Returns:
        The shape and dtype of `x`.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import functional
        >>> query, key = (functional.rotate_2d(torch.ones(1, 1, 9, 4), 3, 3)[0, 0] for _ in range(2))
        >>> scores = query @ key.T
        >>> scores[0, 1], scores[4, 5]  # both pairs are one column apart
        (tensor(3.0806), tensor(3.0806))
    """
    bands = x.shape[-1] // 4
    # Angles in half precision would confuse neighbouring positions.
    dtype = torch.promote_types(x.dtype, torch.float32)
    frequency = theta ** (-torch.arange(bands, device=x.device, dtype=dtype) / max(bands, 1))
    row = torch.arange(height, device=x.device, dtype=dtype)[:, None, None] * frequency
    column = torch.arange(width, device=x.device, dtype=dtype)[None, :, None] * frequency
    angle = torch.cat([row.expand(height, width, bands), column.expand(height, width, bands)], 2).flatten(0, 1)
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    first, second = x[..., : 4 * bands].unflatten(-1, (2 * bands, 2)).unbind(-1)
    turned = torch.stack([first * cos - second * sin, first * sin + second * cos], -1).flatten(-2)
    return torch.cat([turned, x[..., 4 * bands :]], -1)
