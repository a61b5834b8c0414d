"""Fuses the maps of several layers into one map."""

from collections.abc import Sequence

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
    if upsample:
        height, width = images.shape[-2:]
    else:
        height, width = max((heat.shape[-2:] for heat in heats), key=lambda size: size[0] * size[1])
    if len(heats) > 1:
        heats = [scale(heat.relu()) for heat in heats]
    heats = [F.interpolate(heat.float(), (height, width), mode="bilinear", align_corners=False) for heat in heats]
    if len(heats) == 1:
        return heats[0]
    return torch.stack(heats).prod(dim=0) if product else torch.stack(heats).mean(dim=0)


def scale(heat: Tensor) -> Tensor:
    """Scales each map (B, T, H, W) from its minimum and maximum to [0, 1]; a constant one becomes zero."""
    heat = heat - heat.amin(dim=(2, 3), keepdim=True)
    return heat / (heat.amax(dim=(2, 3), keepdim=True) + 1e-7)
