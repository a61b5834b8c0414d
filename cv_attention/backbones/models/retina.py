"""Looks at parts of images: crops at any place, and a retina of patches that are coarser the wider they are."""

import torch
import torch.nn.functional as F
from torch import Tensor

from cv_attention.blocks.functional.half_precision import widened, without_autocast


def sample(images: Tensor, theta: Tensor, size: int) -> Tensor:
    """Samples a square from each image under an affine map, bilinearly; outside of the image everything is 0.

    Paper: Spatial transformers (Jaderberg et al., NeurIPS 2015), section 3, https://arxiv.org/abs/1506.02025.

    Args:
        images: (B, C, H, W).
        theta: (B, 2, 3), from the square's coordinates (x, y, 1) to the image's (x, y); both are from -1 to 1 between
            the outer edges of their first and last pixel, as ``align_corners=False`` means in torch.
        size: Side of the square in samples.

    Returns:
        (B, C, size, size) in float32, or float64 where the images are.
    """
    with without_autocast(images):
        images, theta = widened(images), theta.to(torch.promote_types(images.dtype, torch.float32))
        ticks = (2 * torch.arange(size, device=images.device, dtype=theta.dtype) + 1) / size - 1
        x, y = ticks.expand(size, size), ticks[:, None].expand(size, size)
        square = torch.stack([x, y, torch.ones_like(x)], -1)  # (size, size, 3)
        grid = torch.einsum("ijk,bdk->bijd", square, theta)
        return F.grid_sample(images, grid, "bilinear", "zeros", align_corners=False)


def window(places: Tensor, half: tuple[float, float]) -> Tensor:
    """Returns the affine map of upright windows around places.

    Args:
        places: Centres (x, y), (B, 2), from -1 to 1.
        half: Half of the window's width and height, divided by half of the image's.

    Returns:
        (B, 2, 3), for `sample`.
    """
    scale = torch.tensor(half, dtype=places.dtype, device=places.device).diag()
    return torch.cat([scale.expand(places.shape[0], 2, 2), places[:, :, None]], 2)


def glimpse(images: Tensor, places: Tensor, patch: int, scales: int, finest: int = 1) -> Tensor:
    """Looks at each image around a place: patches of 1, 2, 4, ... times the width, each of `patch` × `patch` numbers.

    Paper: the glimpse sensor of recurrent attention (Mnih et al., NeurIPS 2014), section 3.1,
    https://arxiv.org/abs/1406.6247.

    Patch j covers ``patch * finest * 2^j`` pixels a side around the place; each of its numbers is the mean of a square
    of ``finest * 2^j`` pixels a side. Outside of the image everything is 0. Between pixels values are interpolated, so
    that gradients reach `places`.

    Args:
        images: (B, C, H, W) of any size.
        places: (x, y) from -1 to 1, (B, 2).
        patch: Side of every patch in numbers.
        scales: Number of patches.
        finest: Pixels a side of one number of the finest patch.

    Returns:
        (B, scales, C, patch, patch) in float32, or float64 where the images are; the finest patch first.
    """
    height, width = images.shape[-2:]
    found = []
    for number in range(scales):
        pixels = finest * 2**number
        side = patch * pixels
        seen = sample(images, window(widened(places), (side / width, side / height)), side)
        found.append(F.avg_pool2d(seen, pixels) if pixels > 1 else seen)
    return torch.stack(found, 1)
