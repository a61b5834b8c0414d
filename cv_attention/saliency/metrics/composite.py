"""Implements ARCC (Domeniconi et al., 2026), https://arxiv.org/abs/2605.14641: faithful, stable and small maps."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from cv_attention.saliency.core.fusion import scale
from cv_attention.saliency.core.scores import scorer
from cv_attention.saliency.core.targets import Targets
from cv_attention.saliency.metrics._road import road
from cv_attention.saliency.metrics.faithfulness import check_heat


class Arcc(NamedTuple):
    """Holds ARCC and its parts, each (B,) in [0, 1].

    Attributes:
        arcc: The harmonic mean of road, coherency and 1 - size; higher is better.
        road: Twice ROAD's `combined` of probabilities, at least 0 and at most 1.
        coherency: (1 + Pearson's correlation) / 2 of the map with that of the image times the map.
        size: Mean of the map, whose positive part is scaled to [0, 1]: the paper's complexity.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> from cv_attention.saliency import metrics
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4).eval()
        >>> found = metrics.arcc(cva.saliency.grad_cam, model, torch.randn(2, 3, 32, 32))
        >>> found.arcc.shape, bool((found.size >= 0).all())
        (torch.Size([2]), True)
    """

    arcc: Tensor
    road: Tensor
    coherency: Tensor
    size: Tensor


def arcc(
    method: Callable[..., Tensor],
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    heat: Tensor | None = None,
    percentiles: Sequence[float] = (20, 40, 60, 80),
    seed: int = 0,
    chunk: int = 64,
    **options: object,
) -> Arcc:
    """Computes ARCC (Domeniconi et al., 2026), https://arxiv.org/abs/2605.14641, from ROAD, coherency and complexity.

    Args:
        method: A saliency method (model, images, targets, ...) -> (B, 1, H, W).
        model: Maps images to logits (B, classes).
        images: Normalised images (B, C, H, W).
        targets: Class indices, or None for those predicted for the unchanged images.
        heat: The method's maps of these images, if they are known.
        percentiles: Those of `road`.
        seed: Seed of the noise in `road`.
        chunk: Maximum number of images per forward pass in `road`.
        **options: Options of the method.

    Returns:
        The measure and its parts, of each image.

    Raises:
        ValueError: for bad arguments, or if the maps do not fit the images.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> from cv_attention.saliency import metrics
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4).eval()
        >>> images = torch.randn(2, 3, 32, 32)
        >>> metrics.arcc(cva.saliency.layer_cam, model, images, targets=3, layers="layer2").arcc.shape
        torch.Size([2])
    """
    with scorer(model, images, targets) as scores:
        [fixed] = scores.targets
        images = scores.images
    first = method(model, images, fixed, **options) if heat is None else heat
    shown = scale(check_heat(first, images).relu())
    second = scale(check_heat(method(model, images * shown.to(images.dtype), fixed, **options), images).relu())
    coherency = (1 + _pearson(shown, second)) / 2
    size = shown.mean((1, 2, 3))
    removal = road(model, images, shown, fixed, percentiles=percentiles, probabilities=True, seed=seed, chunk=chunk)
    faithful = (2 * removal.combined).clamp(0, 1)
    parts = torch.stack([faithful, coherency, 1 - size]).float()
    return Arcc(3 / (1 / (parts + 1e-8)).sum(0), faithful, coherency, size)


def _pearson(first: Tensor, second: Tensor) -> Tensor:
    """Returns Pearson's correlation of maps, (B,); 0 for a constant map."""
    a, b = (heat.double().flatten(1) for heat in (first, second))
    a, b = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
    return ((a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1) + 1e-12)).float()
