"""Local attention around a predicted centre, "local-p" (Luong et al., EMNLP 2015), https://arxiv.org/abs/1508.04025."""

from collections.abc import Sequence

import torch
from torch import Tensor


def local_scores(centre: Tensor, size: Sequence[int], reach: float, *, window: bool = False) -> Tensor:
    """Computes ``-|p_j - p|² / (2 σ²)``, σ = D / 2: the logarithm of the Gaussian of equation 10, in two dimensions.

    Added to other scores before a softmax, it multiplies the weights by the Gaussian and normalises them.

    Args:
        centre: p, (..., 2), row and column between 0 and H or W. The position in row i and column j of the map has its
            centre at (i + 1/2, j + 1/2).
        size: (H, W) of the map.
        reach: D, in positions.
        window: Whether positions more than D rows or columns away from p get -inf, so that at most (2 D + 1)² are left.

    Returns:
        (..., H * W), in the dtype of `centre`, values up to 0.

    Examples:
        >>> import torch
        >>> from cv_attention.blocks import functional
        >>> functional.local_scores(torch.tensor([0.5, 1.5]), (1, 3), 2.0)
        tensor([-0.5000, -0.0000, -0.5000])
    """
    rows, columns = (torch.arange(side, device=centre.device, dtype=centre.dtype) + 0.5 for side in size)
    down, across = rows - centre[..., :1], columns - centre[..., 1:]
    scores = down.square()[..., :, None] + across.square()[..., None, :]
    scores = scores * (-2.0 / reach**2)  # 1 / (2 σ²) = 2 / D²
    if window:
        outside = (down.abs() > reach)[..., :, None] | (across.abs() > reach)[..., None, :]
        scores = scores.masked_fill(outside, -torch.inf)
    return scores.flatten(-2)
