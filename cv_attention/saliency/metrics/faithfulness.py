"""Computes insertion AUC and deletion AUC (Petsiuk et al., BMVC 2018), https://arxiv.org/abs/1806.07421."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cv_attention.saliency.core.forward import ForwardArgs, ForwardKwargs
from cv_attention.saliency.core.interface import measures
from cv_attention.saliency.core.outputs.links import Link
from cv_attention.saliency.core.scores import scorer
from cv_attention.saliency.core.targets import Targets


class Curve(NamedTuple):
    """Holds a probability's curve while pixels are inserted or deleted.

    Attributes:
        auc: (B,), the area under the curve over fractions of pixels from 0 to 1.
        curve: (B, steps + 1), including both ends.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> from cv_attention.saliency import metrics
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4).eval()
        >>> images = torch.randn(2, 3, 32, 32)
        >>> found = metrics.deletion_auc(model, images, torch.rand(2, 1, 32, 32), step=256)
        >>> found.auc.shape, found.curve.shape  # 1,024 pixels in four steps
        (torch.Size([2]), torch.Size([2, 5]))
    """

    auc: Tensor
    curve: Tensor


@measures
def deletion_auc(
    model: nn.Module,
    images: Tensor,
    heat: Tensor,
    targets: Targets = None,
    *,
    step: int | None = None,
    link: Link | None = None,
    chunk: int = 64,
    forward_args: ForwardArgs = (),
    forward_kwargs: ForwardKwargs = None,
) -> Curve:
    """Deletes pixels, most salient first, by setting them to 0 (normalised images); low for a good map.

    The measure is that of RISE (Petsiuk et al., BMVC 2018), https://arxiv.org/abs/1806.07421.

    Args:
        model: Maps images to logits (B, classes).
        images: Model inputs (B, C, H, W).
        heat: The maps to evaluate, (B, 1, H, W); only their order matters, with ties in the order of pixels.
        targets: Class indices, None for those predicted for the unchanged images, or a callable from the model's output
            to scores (B,); what is followed is their `link`.
        step: Pixels per step; None means the image's width, like the authors' 224 at 224 pixels.
        link: What turns the output into the score: ``softmax``, ``sigmoid`` or ``identity``. None follows the softmax
            of classes, the sigmoid of a single logit, and of a callable its scores, or what the target says.
        chunk: Maximum number of images per forward pass.
        forward_args: Further positional arguments of the model; tensors with an entry for each image are cut with them.
        forward_kwargs: The same by name.

    Returns:
        The area under the curve of the target's probability, and the curve, of each image.

    Raises:
        ValueError: for bad images or targets, or if `heat` does not fit them.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> from cv_attention.saliency import metrics
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4).eval()
        >>> images = torch.randn(2, 3, 32, 32)
        >>> heat = cva.saliency.grad_cam(model, images)
        >>> metrics.deletion_auc(model, images, heat, step=128).auc.shape
        torch.Size([2])
    """
    return _curve(model, images, heat, targets, step, chunk, link, lambda x: (x, torch.zeros_like(x)))


@measures
def insertion_auc(
    model: nn.Module,
    images: Tensor,
    heat: Tensor,
    targets: Targets = None,
    *,
    step: int | None = None,
    link: Link | None = None,
    chunk: int = 64,
    forward_args: ForwardArgs = (),
    forward_kwargs: ForwardKwargs = None,
) -> Curve:
    """Inserts pixels, most salient first, into the blurred image; high for a good map.

    The measure is that of RISE (Petsiuk et al., BMVC 2018), https://arxiv.org/abs/1806.07421.

    Args:
        model: Maps images to logits (B, classes).
        images: Model inputs (B, C, H, W).
        heat: The maps to evaluate, (B, 1, H, W); only their order matters, with ties in the order of pixels.
        targets: Class indices, None for those predicted for the unchanged images, or a callable from the model's output
            to scores (B,); what is followed is their `link`.
        step: Pixels per step; None means the image's width, like the authors' 224 at 224 pixels.
        link: What turns the output into the score: ``softmax``, ``sigmoid`` or ``identity``. None follows the softmax
            of classes, the sigmoid of a single logit, and of a callable its scores, or what the target says.
        chunk: Maximum number of images per forward pass.
        forward_args: Further positional arguments of the model; tensors with an entry for each image are cut with them.
        forward_kwargs: The same by name.

    Returns:
        The area under the curve of the target's probability, and the curve, of each image.

    Raises:
        ValueError: for bad images or targets, or if `heat` does not fit them.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> from cv_attention.saliency import metrics
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4).eval()
        >>> images = torch.randn(2, 3, 32, 32)
        >>> found = metrics.insertion_auc(model, images, cva.saliency.grad_cam(model, images), step=128)
        >>> with torch.no_grad():
        ...     probabilities = model(images).softmax(1).amax(1)
        >>> torch.allclose(found.curve[:, -1], probabilities, atol=1e-5)  # at its end, the whole image is there
        True
    """
    return _curve(model, images, heat, targets, step, chunk, link, lambda x: (blur(x), x))


def _curve(
    model: nn.Module,
    images: Tensor,
    heat: Tensor,
    targets: Targets,
    step: int | None,
    chunk: int,
    link: Link | None,
    ends: Callable[[Tensor], tuple[Tensor, Tensor]],
) -> Curve:
    step = images.shape[-1] if step is None else step
    if step < 1:
        raise ValueError(f"step must be positive, got {step}")
    order = ranks(check_heat(heat, images))
    steps = -(-order[0].numel() // step)
    with scorer(model, images, targets, chunk=chunk, link=link) as scores:
        start, end = ends(scores.images)
        points = [
            score[:, 0]
            for _, score in scores.variants(
                lambda k: torch.where(order < k * step, end, start), steps + 1, probabilities=True
            )
        ]
    curve = torch.stack(points, dim=1)
    return Curve((curve.sum(1) - (curve[:, 0] + curve[:, -1]) / 2) / steps, curve)


def check_heat(heat: Tensor, images: Tensor) -> Tensor:
    """Returns `heat` in float32 on the images' device; raises ValueError unless it is (B, 1, H, W) for them."""
    wanted = (len(images), 1, *images.shape[2:])
    if tuple(heat.shape) != wanted:
        raise ValueError(f"heat must be maps {wanted} for images {tuple(images.shape)}, got {tuple(heat.shape)}")
    if not bool(heat.isfinite().all()):
        raise ValueError("heat must be finite")
    return heat.detach().to(device=images.device, dtype=torch.float32)


def ranks(heat: Tensor) -> Tensor:
    """Returns each pixel's rank, 0 for the largest value, (B, 1, H, W); ties keep the order of pixels."""
    order = heat.flatten(1).argsort(dim=1, descending=True, stable=True)
    places = torch.arange(order.shape[1], device=heat.device).expand_as(order)
    return torch.zeros_like(order).scatter(1, order, places).view(heat.shape)


def blur(images: Tensor, size: int = 11, sigma: float = 5.0) -> Tensor:
    """Blurs like the authors' code: a Gaussian reflected within its window of `size`, zero padding around the image.

    Volumes (B, C, D, H, W) are blurred along all three sides.
    """
    kernel = reflected_gaussian(size, sigma).to(images)
    channels, count = images.shape[1], images.dim() - 2
    convolve = F.conv2d if count == 2 else F.conv3d
    for axis in range(count):
        shape = [size if one == axis else 1 for one in range(count)]
        weight = kernel.view(1, 1, *shape).expand(channels, 1, *shape)
        images = convolve(images, weight, padding=[one // 2 for one in shape], groups=channels)
    return images


def reflected_gaussian(size: int, sigma: float) -> Tensor:
    """Returns a centred impulse of length `size` after a Gaussian filter of radius 4 sigma, reflected at the ends."""
    radius = int(4 * sigma + 0.5)
    weights = [math.exp(-(d**2) / (2 * sigma**2)) for d in range(-radius, radius + 1)]
    kernel = [0.0] * size
    for place in range(size):
        for d, weight in zip(range(-radius, radius + 1), weights, strict=True):
            seen = (place + d) % (2 * size)
            if min(seen, 2 * size - 1 - seen) == size // 2:
                kernel[place] += weight / sum(weights)
    return torch.tensor(kernel)
