"""Implements smooth masks (Fong et al., ICCV 2019, section 3.2), https://arxiv.org/abs/1910.08485."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from cv_attention.saliency.core.smoothing import gaussian


class SmoothMask:
    """Enlarges a coarse mask by a smooth-maximum convolution, which keeps full cells full and edges smooth.

    m(u) is the smooth maximum over the cells v of k(|u - v| / sigma) coarse(v), where smax(f) = sum(f exp(c f)) /
    sum(exp(c f)), c = 20, k(z) = exp(-2 max(z - 1/2, 0)^2) and cells lie `spacing` pixels apart: kernel, coldness and
    the mask's extent of `sigma` pixels beyond the image are those of the authors' code.

    Args:
        size: Height and width of the image.
        spacing: Distance of cells in pixels.
        sigma: Width of the kernel in pixels.
        device: Device of masks and images.

    Attributes:
        cells: Rows and columns of the coarse mask.
    """

    coldness = 20.0

    def __init__(self, size: tuple[int, int], spacing: int, sigma: float, device: torch.device) -> None:
        self.size, self.spacing = size, spacing
        self.cells = (-(-size[0] // spacing), -(-size[1] // spacing))
        self.margin = round(sigma)
        self.radius = 1 + math.ceil(sigma / spacing)  # cells to either side within reach
        # the weight of each neighbour depends only on the pixel's position within its cell
        place = torch.arange(spacing, dtype=torch.float32, device=device)
        away = spacing * torch.arange(-self.radius, self.radius + 1, dtype=torch.float32, device=device)
        distance = place[None, :] - away[:, None]  # (neighbours, places) along one side
        square = distance[:, None, :, None] ** 2 + distance[None, :, None, :] ** 2
        kernel = torch.exp(-2 * (square.sqrt() / sigma - 0.5).clamp(min=0) ** 2)
        self.kernel = kernel.flatten(0, 1)[None, :, None, None]  # (1, neighbours, 1, 1, places, places)

    def enlarge(self, coarse: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the mask (B, 1, H, W) of `coarse` (B, 1, rows, columns), and the mask with its surroundings."""
        around = -(-self.margin // self.spacing)  # cells beyond the image on each side, all zero
        padded = F.pad(coarse, [self.radius + around] * 4)
        rows, columns = (count + 2 * around for count in self.cells)
        near = F.unfold(padded, 2 * self.radius + 1).unflatten(2, (rows, columns))[..., None, None]
        share = self.kernel * near  # (B, neighbours, rows, columns, places, places)
        mask = (share * (self.coldness * share).softmax(1)).sum(1)
        mask = mask.transpose(2, 3).flatten(3).flatten(1, 2).unsqueeze(1).clamp(0, 1)
        start = around * self.spacing
        inner, outer = (
            tuple(slice(start - beyond, start + side + beyond) for side in self.size) for beyond in (0, self.margin)
        )
        return mask[..., inner[0], inner[1]], mask[..., outer[0], outer[1]]


def blur_levels(images: Tensor, levels: int, strongest: float) -> Tensor:
    """Returns increasingly sharp images, (levels, B, C, H, W): Gaussian blurs from `strongest` pixels down to none."""
    result = []
    for level in range(levels):
        sigma = (1 - level / (levels - 1)) * strongest
        result.append(images if sigma == 0 else gaussian(images, sigma))
    return torch.stack(result)


def reveal(pyramid: Tensor, mask: Tensor) -> Tensor:
    """Returns images (B, C, H, W), each pixel blurred according to its mask value: 1 is sharp.

    Between levels of `pyramid` (levels, B, C, H, W) it is linear; `mask` is (B, 1, H, W) in [0, 1].
    """
    levels = len(pyramid)
    place = mask.clamp(0, 1) * (levels - 1)
    # the weight of a level is 1 there and decreases to 0 at its neighbours
    weights = [(1 - (place - level).abs()).clamp(min=0).to(pyramid.dtype) for level in range(levels)]
    return torch.stack([weight * blurred for weight, blurred in zip(weights, pyramid, strict=True)]).sum(0)
