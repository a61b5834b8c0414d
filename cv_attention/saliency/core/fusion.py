"""Fuses the maps of several layers into one map."""

from collections.abc import Sequence
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor


def fuse(heats: Sequence[Tensor], images: Tensor, upsample: bool = True, *, product: bool = False) -> Tensor:
    """Resizes the map of one layer; fuses several by mean or product, after scaling them.

    Layers differ in scale: with several, the positive part of each is scaled per image from its minimum and maximum to
    [0, 1] at its own size, then resized.

    Args:
        heats: Maps (B, T, h, w), one per layer.
        images: The explained images, (B, C, H, W).
        upsample: Resize to the images' size (bilinear, ``align_corners=False``); False uses the size of the largest
            map.
        product: Multiply the maps instead of averaging them.

    Returns:
        (B, T, H, W) float32.
    """
    size = tuple(images.shape[2:]) if upsample else max((tuple(heat.shape[2:]) for heat in heats), key=prod)
    if len(heats) > 1:
        heats = [scale(heat.relu()) for heat in heats]
    heats = [resize(heat.float(), size) for heat in heats]
    if len(heats) == 1:
        return heats[0]
    return torch.stack(heats).prod(dim=0) if product else torch.stack(heats).mean(dim=0)


def resize(heat: Tensor, size: tuple[int, ...]) -> Tensor:
    """Resizes maps (B, T, H, W) linearly along each side, of volumes (B, T, D, H, W), too."""
    return F.interpolate(heat, size, mode="bilinear" if len(size) == 2 else "trilinear", align_corners=False)


def sides(values: Tensor) -> tuple[int, ...]:
    """Returns the axes of positions: (2, 3) of (B, C, H, W), (2, 3, 4) of volumes."""
    return tuple(range(2, values.dim()))


def columns(values: Tensor, like: Tensor) -> Tensor:
    """Returns numbers (B, T) so that they broadcast to maps like `like`."""
    return values[(..., *[None] * (like.dim() - 2))]


def scale(heat: Tensor) -> Tensor:
    """Scales each map (B, T, H, W) from its minimum and maximum to [0, 1]; a constant one becomes zero."""
    heat = heat - heat.amin(dim=sides(heat), keepdim=True)
    return heat / (heat.amax(dim=sides(heat), keepdim=True) + 1e-7)
