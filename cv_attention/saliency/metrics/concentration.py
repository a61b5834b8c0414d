"""Measures how concentrated maps are: the Gini index, and the entropy."""

import torch
from torch import Tensor


def sparseness(heat: Tensor) -> Tensor:
    """Computes the Gini index of each map's absolute values: 0 if all are equal, nearly 1 if one pixel has everything.

    The measure is that of Chalasani et al. (ICML 2020), https://arxiv.org/abs/1810.06583.

    Args:
        heat: Maps (B, 1, H, W).

    Returns:
        (B,) in [0, 1); 0 for a map of zeros.

    Raises:
        ValueError: if `heat` is not a batch of finite maps.

    Examples:
        >>> import torch
        >>> from cv_attention.saliency import metrics
        >>> metrics.sparseness(torch.tensor([[1.0, 1.0], [0.0, 1.0]]).view(2, 1, 1, 2))
        tensor([0.0000, 0.5000])
    """
    ordered = _values(heat).sort(1).values
    n = ordered.shape[1]
    ranks = torch.arange(1, n + 1, device=heat.device, dtype=ordered.dtype)
    total = ordered.sum(1)
    gini = ((2 * ranks - n - 1) * ordered).sum(1) / (n * total).clamp(min=torch.finfo(ordered.dtype).tiny)
    return torch.where(total > 0, gini, 0).float()


def complexity(heat: Tensor) -> Tensor:
    """Computes the entropy of each map's absolute values as shares of their sum: log of the number of pixels at most.

    The measure is that of Bhatt et al. (IJCAI 2020), https://arxiv.org/abs/2005.00631.

    Args:
        heat: Maps (B, 1, H, W).

    Returns:
        (B,), in nats; 0 if one pixel has everything, and for a map of zeros.

    Raises:
        ValueError: if `heat` is not a batch of finite maps.

    Examples:
        >>> import torch
        >>> from cv_attention.saliency import metrics
        >>> metrics.complexity(torch.tensor([[1.0, 1.0], [0.0, 1.0]]).view(2, 1, 1, 2))
        tensor([0.6931, 0.0000])
    """
    values = _values(heat)
    shares = values / values.sum(1, keepdim=True).clamp(min=torch.finfo(values.dtype).tiny)
    return torch.xlogy(shares, shares).sum(1).abs().float()


def _values(heat: Tensor) -> Tensor:
    if heat.dim() != 4 or heat.shape[1] != 1 or not bool(heat.isfinite().all()):
        raise ValueError(f"heat must be finite maps (B, 1, H, W), got {tuple(heat.shape)}")
    return heat.detach().double().abs().flatten(1)
