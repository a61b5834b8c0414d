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
    """Returns uniform noise, the same for every image: a baseline that every method should beat.

    Neither model nor targets are used.

    Args:
        model: Not used; None is fine.
        images: (B, C, H, W).
        targets: Not used.
        seed: Seed of the noise.
        batch_size: Maximum number of images at once; it changes nothing here.

    Returns:
        (B, 1, H, W) float32 in [0, 1).

    Raises:
        ValueError: for bad images.

    Examples:
        >>> import torch
        >>> from cv_attention import saliency
        >>> heat = saliency.random_map(None, torch.randn(2, 3, 32, 32), seed=1)
        >>> heat.shape, torch.equal(heat[0], heat[1])
        (torch.Size([2, 1, 32, 32]), True)
    """
    images = check_images(images)
    noise = Source(seed).uniform((1, 1, *images.shape[2:]), torch.empty(0, device=images.device))
    return noise.repeat(len(images), *[1] * (images.dim() - 1))


@explains
def centre_bias(
    model: nn.Module | None,
    images: Tensor,
    targets: Targets = None,
    *,
    width: float = 0.25,
    batch_size: int | None = None,
) -> Tensor:
    """Returns a centred Gaussian: a baseline, as photographers tend to put objects there.

    Neither model nor targets are used.

    Args:
        model: Not used; None is fine.
        images: (B, C, H, W).
        targets: Not used.
        width: Standard deviation as a fraction of each side.
        batch_size: Maximum number of images at once; it changes nothing here.

    Returns:
        (B, 1, H, W) float32 in (0, 1].

    Raises:
        ValueError: for bad images, or if `width` is not positive.

    Examples:
        >>> import torch
        >>> from cv_attention import saliency
        >>> saliency.centre_bias(None, torch.zeros(1, 3, 3, 3))[0, 0]
        tensor([[0.1690, 0.4111, 0.1690],
                [0.4111, 1.0000, 0.4111],
                [0.1690, 0.4111, 0.1690]])
    """
    images = check_images(images)
    if width <= 0:
        raise ValueError(f"width must be positive, got {width}")
    bump = torch.ones((), device=images.device)
    for size in images.shape[2:]:
        places = (torch.arange(size, device=images.device) + 0.5) / size - 0.5
        bump = bump[..., None] * torch.exp(-(places**2) / (2 * width**2))
    return bump.repeat(len(images), *[1] * (images.dim() - 1))
