"""Smooths images by a Gaussian."""

import torch
import torch.nn.functional as F
from torch import Tensor


def gaussian(images: Tensor, sigma: float) -> Tensor:
    """Smooths (B, C, H, W) by a Gaussian truncated at 3 sigma; edges are replicated."""
    radius = max(round(3 * sigma), 1)
    offsets = torch.arange(-radius, radius + 1, device=images.device, dtype=images.dtype)
    kernel = torch.exp(-(offsets**2) / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    channels = images.shape[1]
    images = F.pad(images, [radius] * 4, mode="replicate")
    images = F.conv2d(images, kernel.view(1, 1, -1, 1).expand(channels, 1, -1, 1), groups=channels)
    return F.conv2d(images, kernel.view(1, 1, 1, -1).expand(channels, 1, 1, -1), groups=channels)
