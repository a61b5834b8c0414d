"""Implements bottom-up saliency of images and videos (Itti, Koch, Niebur, PAMI 1998; Itti, Dhavale, Pighin, 2003)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cv_attention.saliency.core.engine import check_images
from cv_attention.saliency.core.interface import explains
from cv_attention.saliency.core.targets import Targets

_CENTRES, _DELTAS, _TOP = (2, 3, 4), (3, 4), 8
_LEAST = 1e-4  # contrast of images in [0, 1]: less is rounding, a fortieth of a grey level of 255
_STEPS = ((0, 1), (1, 1), (1, 0), (1, -1))  # rows and columns of a step across the bars of each orientation


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
    """Highlights what differs from its surround in intensity, colour opponency or orientation, in videos in motion too.

    Papers: bottom-up saliency (Itti, Koch, Niebur, PAMI 1998), https://doi.org/10.1109/34.730558; flicker and motion
    (Itti, Dhavale, Pighin, SPIE 2003), https://doi.org/10.1117/12.512618.

    Gaussian pyramids of 9 scales; centre-surround differences between scales c in {2, 3, 4} and c + {3, 4}, each map
    normalised by the operator N, added within and then over the kinds: (N(I) + N(C) + N(O)) / 3 at scale 4.

    Frames of a video have two kinds more, (N(I) + N(C) + N(O) + N(F) + N(M)) / 5. Flicker F is the change of the
    intensity since the frame before, |I_n - I_(n-1)| at each scale. Motion M is what Reichardt's detectors find in each
    of four orientations, |O_n S_(n-1) - O_(n-1) S_n|, where O is the energy of the orientation and S the same moved by
    one pixel of the scale across the bars. Both are 0 in the first frame.

    Args:
        model: Not used; None is fine.
        images: (B, 3, H, W) RGB, or videos (B, 3, frames, H, W); each is first scaled from its own minimum and maximum
            to [0, 1], so that pixels and normalised images both work.
        targets: Not used.
        enlarge: The shorter side is enlarged to this many pixels: scale 8 is a 256th of it.
        batch_size: Maximum number of images per forward pass; larger batches are split, and a callable target then
            sees one part at a time. None processes all images at once.

    Returns:
        (B, 1, H, W), or (B, 1, frames, H, W), float32, at least 0.

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
    images = check_images(images).float()
    if images.shape[1] != 3:
        shapes = "(B, 3, H, W), or videos (B, 3, frames, H, W)"
        raise ValueError(f"colour opponency needs RGB images {shapes}, got {tuple(images.shape)}")
    every = tuple(range(1, images.dim()))
    low, high = images.amin(every, keepdim=True), images.amax(every, keepdim=True)
    images = (images - low) / (high - low).clamp(min=1e-7)
    if images.dim() == 4:
        return _heat(images, enlarge, None)
    clips = len(images)
    return _heat(images.transpose(1, 2).flatten(0, 1), enlarge, clips).unflatten(0, (clips, -1)).transpose(1, 2)


def _heat(images: Tensor, enlarge: int, clips: int | None) -> Tensor:
    """Maps images in [0, 1] to (B, 1, H, W); with `clips`, they are the frames of so many videos, one after another."""
    height, width = images.shape[-2:]
    factor = max(enlarge / min(height, width), 1.0)
    if factor > 1:
        enlarged = (round(height * factor), round(width * factor))
        images = F.interpolate(images, enlarged, mode="bilinear", align_corners=False)
    red, green, blue = images.split(1, dim=1)
    intensity = pyramid((red + green + blue) / 3)
    bright = intensity[0].amax((1, 2, 3), keepdim=True) / 10
    colours = [pyramid(colour) for colour in _opponent(red, green, blue, bright)]
    oriented = [[_gabor(level, angle) for level in intensity] for angle in range(4)]
    size = intensity[4].shape[-2:]
    conspicuous = [
        _contrast([intensity], size),
        _contrast(colours, size),
        sum(normalise(_contrast([levels], size)) for levels in oriented),
    ]
    if clips is not None:
        moving = [
            [_motion(level, step, clips) for level in levels] for levels, step in zip(oriented, _STEPS, strict=True)
        ]
        conspicuous.append(_contrast([[(level - _before(level, clips)).abs() for level in intensity]], size))
        conspicuous.append(sum(normalise(_contrast([levels], size)) for levels in moving))
    heat = sum((normalise(part) for part in conspicuous), torch.zeros(1, device=images.device)) / len(conspicuous)
    return F.interpolate(heat, (height, width), mode="bilinear", align_corners=False)


def _before(frames: Tensor, clips: int) -> Tensor:
    """Returns the frame before each of (clips * frames, 1, H, W); the first frame of each video is its own."""
    parts = frames.unflatten(0, (clips, -1))
    return torch.cat([parts[:, :1], parts[:, :-1]], 1).flatten(0, 1)


def _motion(energy: Tensor, step: tuple[int, int], clips: int) -> Tensor:
    """Compares a frame with the frame before, one of them moved by a step, as Reichardt's detectors do, both ways."""
    rows, columns = step
    height, width = energy.shape[-2:]
    padded = F.pad(energy, [1] * 4, mode="replicate")
    moved = padded[..., 1 - rows : 1 - rows + height, 1 - columns : 1 - columns + width]
    return (energy * _before(moved, clips) - _before(energy, clips) * moved).abs()


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
    """Applies the operator N: scales to [0, 1], then by (1 - m)^2, m the mean of the local maxima but the global one.

    A map with one peak keeps its strength, one with many equal peaks loses it. Local maxima are the largest values of
    their `window`, above 0.1 of the global maximum; of equal neighbours, the one farthest down and to the right counts.
    """
    low = heat.amin((2, 3), keepdim=True)
    span = heat.amax((2, 3), keepdim=True) - low
    heat = torch.where(span > _LEAST, (heat - low) / span.clamp(min=_LEAST), 0)
    rows, columns = (torch.arange(side, device=heat.device) for side in heat.shape[2:])
    ranked = heat + 1e-5 * (rows[:, None] + columns)  # far above rounding, far below what matters
    around = F.max_pool2d(F.pad(ranked, [window // 2] * 4, value=-1.0), window, stride=1)
    peaks = (ranked == around) & (heat > 0.1)
    others = (peaks.sum((2, 3), keepdim=True) - 1).clamp(min=1)
    mean = ((heat * peaks).sum((2, 3), keepdim=True) - 1).clamp(min=0) / others
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
