"""Implements ROAD, remove and debias (Rong et al., ICML 2022), https://arxiv.org/abs/2202.00449."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from cv_attention.saliency.core.engine import check_images
from cv_attention.saliency.core.forward import ForwardArgs, ForwardKwargs
from cv_attention.saliency.core.interface import measures
from cv_attention.saliency.core.noise import Source
from cv_attention.saliency.core.outputs.links import Link
from cv_attention.saliency.core.scores import scorer
from cv_attention.saliency.core.targets import Targets
from cv_attention.saliency.metrics._imputation import impute
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
