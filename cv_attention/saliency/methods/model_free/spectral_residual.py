"""Implements the spectral residual (Hou and Zhang, CVPR 2007), https://ieeexplore.ieee.org/document/4270292."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cv_attention.saliency.core.engine import check_images
from cv_attention.saliency.core.fusion import scale
from cv_attention.saliency.core.interface import explains
from cv_attention.saliency.core.smoothing import gaussian
from cv_attention.saliency.core.targets import Targets


@explains
@torch.no_grad()
def spectral_residual(
    model: nn.Module | None,
    images: Tensor,
    targets: Targets = None,
    *,
    side: int = 64,
    blur: float = 2.5,
    batch_size: int | None = None,
) -> Tensor:
    """Computes the residual of the image's spectrum over a smooth one: blur(|IFFT(exp(L - mean3x3(L) + i P))|^2).

    Paper: the spectral residual (Hou and Zhang, CVPR 2007), https://ieeexplore.ieee.org/document/4270292.

    L and P are the log amplitude and phase of the brightness, shrunk to `side` pixels along the shorter side.

    Args:
        model: Not used; None is fine.
        images: (B, C, H, W) in any scale: each one's brightness is scaled from its minimum and maximum to [0, 1].
        targets: Not used.
        side: Shorter side in pixels, which sets the scale of objects; smaller images are not enlarged.
        blur: Standard deviation of the last smoothing, in pixels of the shrunk image.
        batch_size: Maximum number of images per forward pass; larger batches are split, and a callable target then
            sees one part at a time. None processes all images at once.

    Returns:
        (B, 1, H, W) float32, at least 0.

    Examples:
        >>> import torch
        >>> from cv_attention import saliency
        >>> image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
        >>> image[..., 16:24, 40:48] = 2  # a bright square over noise
        >>> heat = saliency.spectral_residual(None, image)
        >>> heat.shape, divmod(int(heat.argmax()), 64)  # row and column of the maximum
        (torch.Size([1, 1, 64, 64]), (21, 41))
    """
    images = check_images(images, "spectral_residual").float()
    height, width = images.shape[-2:]
    factor = min(side / min(height, width), 1.0)
    size = (max(round(height * factor), 1), max(round(width * factor), 1))
    gray = F.interpolate(images.mean(1, keepdim=True), size, mode="bilinear", antialias=True, align_corners=False)
    span = gray.amax((2, 3), keepdim=True) - gray.amin((2, 3), keepdim=True)
    spectrum = torch.fft.fft2(scale(gray))
    logs = spectrum.abs().clamp(min=1e-6).log()
    smooth = F.avg_pool2d(F.pad(logs, (1, 1, 1, 1), mode="circular"), 3, stride=1)
    heat = torch.fft.ifft2(torch.polar((logs - smooth).exp(), spectrum.angle())).abs() ** 2
    heat = torch.where(span > 0, heat, 0)  # nothing stands out in a uniform image
    return F.interpolate(gaussian(heat, blur), (height, width), mode="bilinear", align_corners=False)
