"""Implements variants of the randomisation test (Hedstrom et al., 2024), https://arxiv.org/abs/2401.06465."""

from collections.abc import Callable
from copy import deepcopy
from typing import NamedTuple

import torch
from torch import Tensor, nn

from cv_attention.maps.wrappers import unwrap
from cv_attention.saliency.core.noise import Source
from cv_attention.saliency.core.scores import scorer
from cv_attention.saliency.core.targets import Targets
from cv_attention.saliency.metrics.agreement import rank_correlation
from cv_attention.saliency.metrics.sanity import parts_of, randomise


def smooth_randomisation(
    method: Callable[..., Tensor],
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    samples: int = 10,
    noise: float = 0.1,
    seed: int = 0,
    **options: object,
) -> Tensor:
    """Compares maps averaged over noisy images before and after the model's parts are randomised, one by one.

    Smooth MPRT, by Hedström et al. (2024), https://arxiv.org/abs/2401.06465: as `cascading_randomisation`, without the
    noise of single gradients, which by itself lowers the similarity.

    Args:
        method: A saliency method (model, images, targets, ...) -> (B, 1, H, W).
        model: The explained model; it is copied first.
        images: (B, C, H, W).
        targets: Class indices, or None for those predicted by the untouched model.
        samples: Number of noisy copies.
        noise: Standard deviation of the noise, as a fraction of each image's range (maximum - minimum).
        seed: Seed of the random weights and of the noise.
        **options: Options of the method.

    Returns:
        Spearman's correlation after each stage, (stages, B); low for a method that explains the model.

    Raises:
        ValueError: for bad arguments, or if the model has no parts with parameters.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> from cv_attention.saliency import metrics
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4).eval()
        >>> images = torch.randn(2, 3, 32, 32)
        >>> metrics.smooth_randomisation(cva.saliency.gradient, model, images, samples=2).shape
        torch.Size([6, 2])
    """
    if samples < 1 or noise < 0:
        raise ValueError(f"samples must be positive and noise not negative, got samples={samples}, noise={noise}")
    with scorer(model, images, targets) as scores:
        [fixed] = scores.targets
    spread = noise * (images.amax((1, 2, 3), keepdim=True) - images.amin((1, 2, 3), keepdim=True))

    def smooth(network: nn.Module) -> Tensor:
        source = Source(seed)
        draws = (images + spread * source.normal((1, *images.shape[1:]), images) for _ in range(samples))
        return torch.stack([method(network, noisy, fixed, **options) for noisy in draws]).mean(0)

    first, copy, found = smooth(model), deepcopy(unwrap(model)), []
    for number, (_, part) in enumerate(reversed(parts_of(copy, model))):
        randomise(part, seed + number)
        found.append(rank_correlation(first, smooth(copy)))
    return torch.stack(found)


class Rise(NamedTuple):
    """Holds the entropy of maps before and after randomisation, each (B,).

    Attributes:
        rise: (after - before) / before, 0 for a constant map; high for a method that explains the model.
        before: Entropy of the maps of the untouched model, in bits.
        after: Entropy of the maps of the fully randomised model.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> from cv_attention.saliency import metrics
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4).eval()
        >>> found = metrics.efficient_randomisation(cva.saliency.gradient, model, torch.randn(2, 3, 32, 32))
        >>> torch.allclose(found.rise, (found.after - found.before) / found.before)
        True
    """

    rise: Tensor
    before: Tensor
    after: Tensor


def efficient_randomisation(
    method: Callable[..., Tensor],
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    bins: int = 100,
    seed: int = 0,
    **options: object,
) -> Rise:
    """Computes how much the entropy of the histogram of a map's values rises when the whole model is randomised.

    Efficient MPRT, by Hedström et al. (2024), https://arxiv.org/abs/2401.06465: two runs of the method, and no measure
    of similarity.

    Args:
        method: A saliency method (model, images, targets, ...) -> (B, 1, H, W).
        model: The explained model; it is copied first.
        images: (B, C, H, W).
        targets: Class indices, or None for those predicted by the untouched model.
        bins: Bins of the histogram, between the smallest and the largest value of each map.
        seed: Seed of the random weights.
        **options: Options of the method.

    Returns:
        The rise, and the entropies.

    Raises:
        ValueError: for bad arguments, or if the model has no parts with parameters.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> from cv_attention.saliency import metrics
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4).eval()
        >>> images = torch.randn(2, 3, 32, 32)
        >>> metrics.efficient_randomisation(cva.saliency.grad_cam, model, images).rise.shape
        torch.Size([2])
    """
    if bins < 2:
        raise ValueError(f"bins must be at least 2, got {bins}")
    with scorer(model, images, targets) as scores:
        [fixed] = scores.targets
    before = _entropy(method(model, images, fixed, **options), bins)
    copy = deepcopy(unwrap(model))
    for number, (_, part) in enumerate(reversed(parts_of(copy, model))):
        randomise(part, seed + number)
    after = _entropy(method(copy, images, fixed, **options), bins)
    rise = torch.where(before > 0, (after - before) / torch.where(before > 0, before, 1), 0)
    return Rise(rise, before, after)


def _entropy(heat: Tensor, bins: int) -> Tensor:
    """Returns the entropy of the histogram of each map's values, in bits."""
    found = []
    for one in heat.detach().float().flatten(1):
        counts = torch.histc(one, bins) if one.min() < one.max() else torch.tensor([float(one.numel())])
        shares = counts / counts.sum()
        found.append(-torch.xlogy(shares, shares).sum() / torch.log(torch.tensor(2.0)))
    return torch.stack(found).to(heat.device)
