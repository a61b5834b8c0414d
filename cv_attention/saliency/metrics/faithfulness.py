"""Insertion AUC and deletion AUC (Petsiuk et al., BMVC 2018), https://arxiv.org/abs/1806.07421."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cv_attention.saliency.core.scores import scorer
from cv_attention.saliency.core.targets import Targets


class Curve(NamedTuple):
    """How a probability changes while pixels come or go.

    Attributes:
        auc: (B,), the area under the curve over shares of pixels from 0 to 1.
        curve: (B, steps + 1), both ends included.
    """

    auc: Tensor
    curve: Tensor


def deletion_auc(
    model: nn.Module,
    images: Tensor,
    heat: Tensor,
    targets: Targets = None,
    *,
    step: int | None = None,
    chunk: int = 64,
) -> Curve:
    """Deletes pixels, most salient first, to 0 (of normalised images); a good map makes the area small.

    Args:
        model: Maps images to logits (B, classes).
        images: (B, C, H, W) as the model takes them.
        heat: The maps to judge, (B, 1, H, W); only their order counts, equal values in the order of pixels.
        targets: Classes, None for those predicted for the whole images; a callable gets probabilities.
        step: Pixels at once; None takes the image's width, as the authors' 224 at 224 pixels.
        chunk: Images of one forward at most.

    Raises:
        ValueError: for bad images or targets, or if `heat` does not fit them.
    """
    return _curve(model, images, heat, targets, step, chunk, lambda x: (x, torch.zeros_like(x)))


def insertion_auc(
    model: nn.Module,
    images: Tensor,
    heat: Tensor,
    targets: Targets = None,
    *,
    step: int | None = None,
    chunk: int = 64,
) -> Curve:
    """Inserts pixels, most salient first, into the blurred image; a good map makes the area large.

    Arguments as in `deletion_auc`.
    """
    return _curve(model, images, heat, targets, step, chunk, lambda x: (blur(x), x))


def _curve(
    model: nn.Module,
    images: Tensor,
    heat: Tensor,
    targets: Targets,
    step: int | None,
    chunk: int,
    ends: Callable[[Tensor], tuple[Tensor, Tensor]],
) -> Curve:
    step = images.shape[-1] if step is None else step
    if step < 1:
        raise ValueError(f"step must be positive, got {step}")
    order = ranks(check_heat(heat, images))
    steps = -(-order.shape[-1] * order.shape[-2] // step)
    with scorer(model, images, targets, chunk=chunk) as scores:
        start, end = ends(scores.images)
        points = [
            score[:, 0]
            for _, score in scores.variants(
                lambda k: torch.where(order < k * step, end, start), steps + 1, probabilities=True
            )
        ]
    curve = torch.stack(points, dim=1)
    return Curve((curve.sum(1) - (curve[:, 0] + curve[:, -1]) / 2) / steps, curve)


def check_heat(heat: Tensor, images: Tensor) -> Tensor:
    """Returns `heat` in float32 on the images' device if it is (B, 1, H, W) for them; ValueError otherwise."""
    wanted = (len(images), 1, *images.shape[2:])
    if tuple(heat.shape) != wanted:
        raise ValueError(f"heat must be maps {wanted} for images {tuple(images.shape)}, got {tuple(heat.shape)}")
    if not bool(heat.isfinite().all()):
        raise ValueError("heat must be finite")
    return heat.detach().to(device=images.device, dtype=torch.float32)


def ranks(heat: Tensor) -> Tensor:
    """Returns each pixel's place, 0 for the largest value, (B, 1, H, W); equal values keep the order of pixels."""
    order = heat.flatten(1).argsort(dim=1, descending=True, stable=True)
    places = torch.arange(order.shape[1], device=heat.device).expand_as(order)
    return torch.zeros_like(order).scatter(1, order, places).view(heat.shape)


def blur(images: Tensor, size: int = 11, sigma: float = 5.0) -> Tensor:
    """Blurs as the authors' code does: a Gaussian reflected within its window of `size`, zeros around the image."""
    kernel = reflected_gaussian(size, sigma).to(images)
    channels = images.shape[1]
    images = F.conv2d(
        images, kernel.view(1, 1, -1, 1).expand(channels, 1, -1, 1), padding=(size // 2, 0), groups=channels
    )
    return F.conv2d(
        images, kernel.view(1, 1, 1, -1).expand(channels, 1, 1, -1), padding=(0, size // 2), groups=channels
    )


def reflected_gaussian(size: int, sigma: float) -> Tensor:
    """A dot in the middle of `size` places after a Gaussian filter of radius 4 sigma that reflects at the ends."""
    radius = int(4 * sigma + 0.5)
    weights = [math.exp(-(d**2) / (2 * sigma**2)) for d in range(-radius, radius + 1)]
    kernel = [0.0] * size
    for place in range(size):
        for d, weight in zip(range(-radius, radius + 1), weights, strict=True):
            seen = (place + d) % (2 * size)
            if min(seen, 2 * size - 1 - seen) == size // 2:
                kernel[place] += weight / sum(weights)
    return torch.tensor(kernel)
