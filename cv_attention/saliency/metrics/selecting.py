"""Computes selectivity (Montavon et al., 2018), https://doi.org/10.1016/j.dsp.2017.10.011: deletion patch by patch."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cv_attention.saliency.core.engine import check_images
from cv_attention.saliency.core.forward import ForwardArgs, ForwardKwargs
from cv_attention.saliency.core.interface import measures
from cv_attention.saliency.core.outputs.links import Link
from cv_attention.saliency.core.scores import scorer
from cv_attention.saliency.core.targets import Targets
from cv_attention.saliency.metrics.faithfulness import Curve, check_heat, ranks


@measures
def selectivity(
    model: nn.Module,
    images: Tensor,
    heat: Tensor,
    targets: Targets = None,
    *,
    patch: int = 8,
    step: int = 1,
    value: float = 0.0,
    link: Link | None = None,
    chunk: int = 64,
    forward_args: ForwardArgs = (),
    forward_kwargs: ForwardKwargs = None,
) -> Curve:
    """Removes patches, the one with the largest sum of the map first; low for a good map.

    The measure is that of Montavon et al. (2018), https://doi.org/10.1016/j.dsp.2017.10.011. Unlike `deletion_auc`, it
    does not depend on the order of single pixels. What is followed is the target's `link`.

    Args:
        model: Maps images to logits (B, classes).
        images: Model inputs (B, C, H, W).
        heat: The maps to evaluate, (B, 1, H, W).
        targets: Class indices, None for those predicted for the unchanged images, or a callable from the model's output
            to scores (B,); what is followed is their `link`.
        patch: Side of a patch in pixels; patches at the right and lower edge may be smaller.
        step: Patches that are removed at a time; each step takes a forward pass per image.
        value: Fill value; 0 is the mean colour of normalised images.
        link: What turns the output into the score: ``softmax``, ``sigmoid`` or ``identity``. None follows the softmax
            of classes, the sigmoid of a single logit, and of a callable its scores, or what the target says.
        chunk: Maximum number of images per forward pass.
        forward_args: Further positional arguments of the model; tensors with an entry for each image are cut with them.
        forward_kwargs: The same by name.

    Returns:
        The area under the curve of the target's probability, and the curve, of each image.

    Raises:
        ValueError: for bad images or targets, if `heat` does not fit them, or `patch` or `step` is not positive.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> from cv_attention.saliency import metrics
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4).eval()
        >>> images = torch.randn(2, 3, 32, 32)
        >>> heat = cva.saliency.gradient(model, images)
        >>> metrics.selectivity(model, images, heat, patch=16).curve.shape  # four patches
        torch.Size([2, 5])
    """
    if patch < 1:
        raise ValueError(f"patch must be positive, got {patch}")
    if step < 1:
        raise ValueError(f"step must be positive, got {step}")
    height, width = check_images(images, "selectivity").shape[2:]
    padded = F.pad(check_heat(heat, images), (0, -width % patch, 0, -height % patch))
    sums = F.avg_pool2d(padded.double(), patch)
    order = ranks(sums).float()
    order = F.interpolate(order, scale_factor=patch, mode="nearest")[..., :height, :width]
    steps = -(-sums[0].numel() // step)
    with scorer(model, images, targets, chunk=chunk, link=link) as scores:
        gone = torch.full_like(scores.images, value)
        points = [
            score[:, 0]
            for _, score in scores.variants(
                lambda k: torch.where(order < k * step, gone, scores.images), steps + 1, probabilities=True
            )
        ]
    curve = torch.stack(points, 1)
    return Curve((curve.sum(1) - (curve[:, 0] + curve[:, -1]) / 2) / steps, curve)
