"""Implements ROAD, remove and debias (Rong et al., ICML 2022), https://arxiv.org/abs/2202.00449."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cv_attention.saliency.core.engine import check_images
from cv_attention.saliency.core.forward import ForwardArgs, ForwardKwargs
from cv_attention.saliency.core.interface import measures
from cv_attention.saliency.core.noise import Source
from cv_attention.saliency.core.outputs.links import Link
from cv_attention.saliency.core.scores import scorer
from cv_attention.saliency.core.targets import Targets
from cv_attention.saliency.metrics.faithfulness import check_heat, ranks


class Road(NamedTuple):
    """Holds changes of the score when pixels are imputed from their surroundings.

    Attributes:
        most: (B,), mean change when the most salient pixels are removed; low for a good map.
        least: (B,), mean change when the least salient pixels are removed; high for a good map.
        combined: (least - most) / 2; higher is better.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> from cv_attention.saliency import metrics
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4).eval()
        >>> images = torch.randn(2, 3, 32, 32)
        >>> found = metrics.road(model, images, torch.rand(2, 1, 32, 32), percentiles=[50, 90])
        >>> torch.allclose(found.combined, (found.least - found.most) / 2)
        True
    """

    most: Tensor
    least: Tensor
    combined: Tensor


@measures
def road(
    model: nn.Module,
    images: Tensor,
    heat: Tensor,
    targets: Targets = None,
    *,
    percentiles: Sequence[float] = (10, 20, 30, 40, 50, 60, 70, 80, 90),
    noise: float = 0.01,
    probabilities: bool = False,
    link: Link | None = None,
    seed: int = 0,
    chunk: int = 64,
    forward_args: ForwardArgs = (),
    forward_kwargs: ForwardKwargs = None,
) -> Road:
    """Removes the most and the least salient pixels by noisy linear imputation, at several fractions.

    The measure is ROAD (Rong et al., ICML 2022), https://arxiv.org/abs/2202.00449.
    As in the library pytorch-grad-cam, pixels below percentile p are kept, so (100 - p) % are removed.

    Args:
        model: Maps images to logits (B, classes).
        images: Model inputs (B, C, H, W).
        heat: The maps to evaluate, (B, 1, H, W).
        targets: Class indices, None for those predicted for the unchanged images, or a callable.
        percentiles: Percentiles in (0, 100), over which the changes are averaged.
        noise: Standard deviation of the noise added to imputed pixels.
        probabilities: Whether to score probabilities instead of logits: the usual `link` of the targets.
        link: What turns the output into the score: ``softmax``, ``sigmoid`` or ``identity``; None is as `probabilities`
            says.
        seed: Seed of the noise.
        chunk: Maximum number of images per forward pass.
        forward_args: Further positional arguments of the model; tensors with an entry for each image are cut with them.
        forward_kwargs: The same by name.

    Returns:
        The mean changes of the score of each image.

    Raises:
        ValueError: for bad arguments, or if `heat` does not fit the images.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> from cv_attention.saliency import metrics
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4).eval()
        >>> images = torch.randn(2, 3, 32, 32)
        >>> heat = cva.saliency.grad_cam(model, images)
        >>> metrics.road(model, images, heat, percentiles=[50, 90]).combined.shape
        torch.Size([2])
    """
    if not percentiles or not all(0 < p < 100 for p in percentiles) or noise < 0:
        raise ValueError(f"percentiles must be in (0, 100) and noise at least 0, got {percentiles} and {noise}")
    heat = check_heat(heat, check_images(images, "road"))
    probabilities = probabilities or link is not None
    source = Source(seed)
    changes = []
    with scorer(model, images, targets, chunk=chunk, link=link) as scores:
        clean = scores.clean(probabilities=probabilities)
        for order in (heat, -heat):
            ascending = ranks(-order)
            masks = [ascending < math.ceil((ascending[0].numel() - 1) * p / 100) for p in percentiles]

            def imputed(k: int, masks: list[Tensor] = masks) -> Tensor:
                filled = impute(scores.images, masks[k])
                speck = noise * source.normal((1, *filled.shape[1:]), filled)
                return torch.where(masks[k], filled, filled + speck)

            variants = scores.variants(imputed, len(masks), probabilities=probabilities)
            changes.append(torch.stack([(score - clean)[:, 0] for _, score in variants]).mean(0))
    most, least = changes
    return Road(most, least, (least - most) / 2)


@torch.no_grad()
def impute(images: Tensor, keep: Tensor, *, tolerance: float = 1e-5, most_steps: int = 2000) -> Tensor:
    """Imputes removed pixels as the weighted mean of their eight neighbours, as far as these exist.

    Direct neighbours have weight 1/6, diagonal ones 1/12. The equations of all images and channels are solved together
    by conjugate gradients, on their device.

    Args:
        images: (B, C, H, W).
        keep: bool (B, 1, H, W).
        tolerance: Residual relative to the right-hand side.
        most_steps: Maximum number of steps.

    Returns:
        (B, C, H, W), kept pixels unchanged; an image without kept pixels becomes zero.
    """
    known = torch.where(keep, images, 0).float()
    hole = (~keep).float()
    kernel = torch.tensor([[1, 2, 1], [2, 0, 2], [1, 2, 1]], device=images.device)[None, None].float() / 12
    channels = images.shape[1]

    def around(x: Tensor) -> Tensor:
        return F.conv2d(x, kernel.expand(x.shape[1], 1, 3, 3), padding=1, groups=x.shape[1])

    weight = around(torch.ones_like(hole))  # less than 1 at the edges
    target = hole * around(known)
    target = target * (keep.flatten(1).any(1)[:, None, None, None])

    def inner(a: Tensor, b: Tensor) -> Tensor:
        return (a * b).sum((2, 3), keepdim=True)

    mean = known.sum((2, 3), keepdim=True) / keep.sum((2, 3), keepdim=True).clamp(min=1)
    x = mean.expand(-1, channels, -1, -1) * hole
    residual = target - hole * (weight * x - around(x))
    direction, norm = residual, inner(residual, residual)
    goal = tolerance**2 * inner(target, target).clamp(min=1e-20)
    for _ in range(most_steps):
        if bool((norm <= goal).all()):
            break
        product = hole * (weight * direction - around(direction))
        size = norm / inner(direction, product).clamp(min=1e-30)
        x = x + size * direction
        residual = residual - size * product
        last, norm = norm, inner(residual, residual)
        direction = residual + norm / last.clamp(min=1e-30) * direction
    return torch.where(keep, images, x.to(images.dtype))
