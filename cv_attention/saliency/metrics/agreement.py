"""Measures how similar two maps are: Spearman's rank correlation and structural similarity."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from cv_attention.saliency.core.fusion import scale


def rank_correlation(first: Tensor, second: Tensor, *, absolute: bool = False) -> Tensor:
    """Computes Spearman's rank correlation of two maps; ties share their mean rank.

    If a map is constant, the correlation is 0.

    Args:
        first: The first maps, (B, 1, H, W).
        second: The second maps, of the same shape.
        absolute: Whether to compare absolute values.

    Returns:
        (B,) in [-1, 1].

    Raises:
        ValueError: if the shapes differ.

    Examples:
        >>> import torch
        >>> from cv_attention.saliency import metrics
        >>> first = torch.arange(16.0).view(1, 1, 4, 4)
        >>> metrics.rank_correlation(first, first**2), metrics.rank_correlation(first, -first)
        (tensor([1.]), tensor([-1.]))
    """
    _check(first, second)
    if absolute:
        first, second = first.abs(), second.abs()
    a, b = _mean_ranks(first), _mean_ranks(second)
    a, b = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
    scale = (a.square().sum(1) * b.square().sum(1)).sqrt()
    return torch.where(scale > 0, (a * b).sum(1) / scale.clamp(min=1e-30), 0).float()


def rank_correlations(maps: Sequence[Tensor]) -> Tensor:
    """Computes Spearman's correlation of all pairs among M batches of maps (B, 1, H, W), as (B, M, M).

    Like `rank_correlation`, but each map is ranked only once.

    Raises:
        ValueError: if the shapes differ, or there are no maps.
    """
    if not maps:
        raise ValueError("there are no maps to compare")
    for other in maps:
        _check(maps[0], other)
    ranks = torch.stack([_mean_ranks(heat) for heat in maps], dim=1)
    ranks = ranks - ranks.mean(2, keepdim=True)
    products, sizes = ranks @ ranks.mT, ranks.square().sum(2).sqrt()
    scale = sizes[:, :, None] * sizes[:, None]
    return torch.where(scale > 0, products / scale.clamp(min=1e-30), 0).float()


def structural_similarity(first: Tensor, second: Tensor, *, sigma: float = 1.5) -> Tensor:
    """Computes the structural similarity SSIM (Wang et al., 2004) of two maps, each first scaled to [0, 1].

    Uses an 11x11 Gaussian window, constants 0.01 and 0.03 squared, and the mean over positions where the window fits.
    The paper is https://doi.org/10.1109/TIP.2003.819861.

    Args:
        first: The first maps, (B, 1, H, W).
        second: The second maps, of the same shape.
        sigma: Standard deviation of the window in pixels.

    Returns:
        (B,) in [-1, 1].

    Raises:
        ValueError: if the shapes differ, or the maps are smaller than the window.

    Examples:
        >>> import torch
        >>> from cv_attention.saliency import metrics
        >>> first = torch.arange(256.0).view(1, 1, 16, 16)
        >>> metrics.structural_similarity(first, 2 * first + 1)  # scale and offset make no difference
        tensor([1.])
    """
    _check(first, second)
    if min(first.shape[2:]) < 11:
        raise ValueError(f"structural similarity needs maps of at least 11x11, got {tuple(first.shape[2:])}")
    x, y = scale(first.double()), scale(second.double())
    offsets = torch.arange(-5, 6, device=x.device, dtype=x.dtype)
    line = torch.exp(-(offsets**2) / (2 * sigma**2))
    window = (line[:, None] * line / line.sum() ** 2)[None, None]

    def mean(values: Tensor) -> Tensor:
        return F.conv2d(values, window)

    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    top = (2 * mx * my + 0.01**2) * (2 * cov + 0.03**2)
    return (top / ((mx**2 + my**2 + 0.01**2) * (vx + vy + 0.03**2))).mean((1, 2, 3)).float()


def _check(first: Tensor, second: Tensor) -> None:
    if first.shape != second.shape or first.ndim != 4 or first.shape[1] != 1:
        raise ValueError(
            f"expected two batches of maps (B, 1, H, W), got {tuple(first.shape)} and {tuple(second.shape)}"
        )


def _mean_ranks(heat: Tensor) -> Tensor:
    values = heat.detach().flatten(1).contiguous()
    ordered = values.sort(dim=1).values
    below = torch.searchsorted(ordered, values)
    return (below + torch.searchsorted(ordered, values, right=True)).double() / 2
