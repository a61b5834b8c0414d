"""Implements bottom-up saliency (Itti, Koch, Niebur, PAMI 1998), https://ieeexplore.ieee.org/document/730558."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cv_attention.saliency.core.engine import check_images
from cv_attention.saliency.core.interface import explains
from cv_attention.saliency.core.targets import Targets

_CENTRES, _DELTAS, _TOP = (2, 3, 4), (3, 4), 8


@explains
@torch.no_grad()
def itti_koch_niebur(
    model: nn.Module | None,
    images: Tensor,
    targets: Targets = None,
    *,
    enlarge: int = 256,
    batch_size: int | None = None,
) -> Tensor:
    """Highlights what differs from its surround in intensity, colour opponency or orientation.

    Paper: bottom-up saliency (Itti, Koch, Niebur, PAMI 1998), https://ieeexplore.ieee.org/document/730558.

    The method is that of Itti, Koch and Niebur (IEEE TPAMI 1998), https://doi.org/10.1109/34.730558.
    Gaussian pyramids of 9 scales; centre-surround differences between scales c in {2, 3, 4} and c + {3, 4}, each map
    normalised by the operator N, added within and then over the three kinds: (N(I) + N(C) + N(O)) / 3 at scale 4.

    Args:
        model: Not used; None is fine.
        images: (B, 3, H, W) RGB; each is first scaled from its own minimum and maximum to [0, 1], so that pixels and
            normalised images both work.
        targets: Not used.
        enlarge: The shorter side is enlarged to this many pixels: scale 8 is a 256th of it.
        batch_size: Maximum number of images per forward pass; larger batches are split, and a callable target then
            sees one part at a time. None processes all images at once.

    Returns:
        (B, 1, H, W) float32, at least 0.

    Raises:
        ValueError: if the images do not have three channels.

    Examples:
        >>> import torch
        >>> from cv_attention import saliency
        >>> image = torch.zeros(1, 3, 64, 64)
        >>> image[..., 16:24, 40:48] = 1  # a bright square
        >>> heat = saliency.itti_koch_niebur(None, image, enlarge=128)
        >>> heat.shape, divmod(int(heat.argmax()), 64)  # row and column of the maximum
        (torch.Size([1, 1, 64, 64]), (20, 43))
    """
    images = check_images(images, "itti_koch_niebur").float()
    height, width = images.shape[-2:]
    if images.shape[1] != 3:
        raise ValueError(f"colour opponency needs RGB images (B, 3, H, W), got {tuple(images.shape)}")
    low, high = images.amin((1, 2, 3), keepdim=True), images.amax((1, 2, 3), keepdim=True)
    images = (images - low) / (high - low).clamp(min=1e-7)
    factor = max(enlarge / min(height, width), 1.0)
    size = (round(height * factor), round(width * factor))
    if factor > 1:
        images = F.interpolate(images, size, mode="bilinear", align_corners=False)
    red, green, blue = images.split(1, dim=1)
    intensity = pyramid((red + green + blue) / 3)
    bright = intensity[0].amax((1, 2, 3), keepdim=True) / 10
    colours = [pyramid(colour) for colour in _opponent(red, green, blue, bright)]
    size = intensity[4].shape[-2:]
    conspicuous = [
        _contrast([intensity], size),
        _contrast(colours, size),
        sum(normalise(_contrast([[_gabor(level, angle) for level in intensity]], size)) for angle in range(4)),
    ]
    heat = sum((normalise(part) for part in conspicuous), torch.zeros(1, device=images.device)) / 3
    return F.interpolate(heat, (height, width), mode="bilinear", align_corners=False)


def _opponent(red: Tensor, green: Tensor, blue: Tensor, dark: Tensor) -> tuple[Tensor, Tensor]:
    """Returns red-green and blue-yellow opponency, (B, 1, H, W), of hues where the image is not dark."""
    mean = (red + green + blue) / 3
    r, g, b = (torch.where(mean > dark, colour / mean.clamp(min=1e-7), 0) for colour in (red, green, blue))
    reds, greens, blues = ((a - (c + d) / 2).relu() for a, c, d in ((r, g, b), (g, r, b), (b, r, g)))
    yellows = ((r + g) / 2 - (r - g).abs() / 2 - b).relu()
    return reds - greens, blues - yellows


def pyramid(image: Tensor) -> list[Tensor]:
    """Returns the scales 0..8: each smoothed by 1 4 6 4 1 and halved so that image centres stay aligned."""
    kernel = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0], device=image.device) / 16
    levels = [image]
    for _ in range(_TOP):
        image = F.pad(image, [2] * 4, mode="replicate")
        image = F.conv2d(F.conv2d(image, kernel.view(1, 1, 5, 1)), kernel.view(1, 1, 1, 5))
        half = [-(-side // 2) for side in image.shape[2:]]
        image = F.interpolate(image, half, mode="bilinear", align_corners=False)
        levels.append(image)
    return levels


def _contrast(pyramids: list[list[Tensor]], size: torch.Size) -> Tensor:
    """Sums N(|centre - surround|) over scales, at `size`; differences of several pyramids are added."""
    total = torch.zeros(1, device=pyramids[0][0].device)
    for centre in _CENTRES:
        for delta in _DELTAS:
            for levels in pyramids:
                surround = F.interpolate(
                    levels[centre + delta], levels[centre].shape[-2:], mode="bilinear", align_corners=False
                )
                difference = normalise((levels[centre] - surround).abs())
                total = total + F.interpolate(difference, size, mode="bilinear", align_corners=False)
    return total


def normalise(heat: Tensor, window: int = 7) -> Tensor:
    """Applies the operator N: scales to [0, 1], then by (1 - m)^2, m the mean of the non-global local maxima.

    A map with one peak keeps its strength, one with many equal peaks loses it. Local maxima are the largest values of
    their `window`, above 0.1 of the global maximum.
    """
    low = heat.amin((2, 3), keepdim=True)
    span = heat.amax((2, 3), keepdim=True) - low
    heat = torch.where(span > 1e-7, (heat - low) / span.clamp(min=1e-7), 0)
    around = F.max_pool2d(F.pad(heat, [window // 2] * 4, value=-1.0), window, stride=1)
    peaks = (heat == around) & (heat > 0.1) & (heat < 1)
    count = peaks.sum((2, 3), keepdim=True)
    mean = (heat * peaks).sum((2, 3), keepdim=True) / count.clamp(min=1)
    return heat * (1 - mean) ** 2


def _gabor(level: Tensor, angle: int) -> Tensor:
    """Computes the energy of an even and an odd 9x9 Gabor filter at 45 degrees times `angle`."""
    offsets = torch.arange(-4.0, 5.0, device=level.device)
    y, x = torch.meshgrid(offsets, offsets, indexing="ij")
    along = x * math.cos(angle * math.pi / 4) + y * math.sin(angle * math.pi / 4)
    envelope = torch.exp(-(x**2 + y**2) / (2 * 2.333**2))
    even, odd = envelope * torch.cos(2 * math.pi * along / 7), envelope * torch.sin(2 * math.pi * along / 7)
    even = even - envelope * (even.sum() / envelope.sum())  # insensitive to brightness
    level = F.pad(level, [4] * 4, mode="replicate")
    parts = [F.conv2d(level, kernel[None, None] / kernel.abs().sum()).abs() for kernel in (even, odd)]
    return parts[0] + parts[1]
