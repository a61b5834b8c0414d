"""Implements uninformative baselines that every method should beat."""

import torch
from torch import Tensor, nn

from cv_attention.saliency.core.engine import check_images
from cv_attention.saliency.core.interface import explains
from cv_attention.saliency.core.noise import Source
from cv_attention.saliency.core.targets import Targets


@explains
def random_map(
    model: nn.Module | None,
    images: Tensor,
    targets: Targets = None,
    *,
    seed: int = 0,
    batch_size: int | None = None,
) -> Tensor:
    """Returns uniform noise (B, 1, H, W), the same for every image; neither model nor targets are used."""
    images = check_images(images)
    noise = Source(seed).uniform((1, 1, *images.shape[2:]), torch.empty(0, device=images.device))
    return noise.repeat(len(images), 1, 1, 1)


@explains
def centre_bias(
    model: nn.Module | None,
    images: Tensor,
    targets: Targets = None,
    *,
    width: float = 0.25,
    batch_size: int | None = None,
) -> Tensor:
    """Returns a centred Gaussian (B, 1, H, W): photographers tend to put objects there.

    Neither model nor targets are used.

    Args:
        model: Not used.
        images: (B, C, H, W).
        targets: Not used.
        width: Standard deviation as a fraction of each side.
        batch_size: Maximum number of images per forward pass; larger batches are split, and a callable target then
            sees one part at a time. None processes all images at once.
    """
    images = check_images(images)
    if width <= 0:
        raise ValueError(f"width must be positive, got {width}")
    sides = []
    for size in images.shape[2:]:
        places = (torch.arange(size, device=images.device) + 0.5) / size - 0.5
        sides.append(torch.exp(-(places**2) / (2 * width**2)))
    return (sides[0][:, None] * sides[1]).repeat(len(images), 1, 1, 1)
