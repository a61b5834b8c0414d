"""Implements feature ablation: the drop of the score when one segment is covered."""

import torch
from torch import Tensor, nn

from cv_attention.saliency.core.forward import ForwardArgs, ForwardKwargs
from cv_attention.saliency.core.interface import explains
from cv_attention.saliency.core.scores import scorer
from cv_attention.saliency.core.targets import Targets
from cv_attention.saliency.methods.perturbation.segments import label_segments, paint, show


@explains
def feature_ablation(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    cells: int = 8,
    segments: Tensor | None = None,
    value: float = 0.0,
    forward_args: ForwardArgs = (),
    forward_kwargs: ForwardKwargs = None,
    batch_size: int = 64,
) -> Tensor:
    """Computes how much the score drops when each segment is covered, one at a time.

    This is `occlusion` (Zeiler and Fergus, ECCV 2014), https://arxiv.org/abs/1311.2901, with segments in place of a
    sliding window, as in the library captum. Costs one forward pass for each segment.

    Args:
        model: Maps images to logits (B, classes), or to what `targets` take.
        images: Model inputs (B, C, H, W).
        targets: None or ``"predicted"`` for each image's predicted class, a class index, class indices (B,),
            ``Difference(a, b)`` for why a rather than b, or a callable from the model's output to scores (B,). For
            several targets per image, class indices (B, T) or ``Several(...)``; they share one forward pass.
        cells: Number of grid cells along each side.
        segments: Integer labels such as superpixels, (1, 1, H, W) for all images or (B, 1, H, W); None uses the cells
            of a grid.
        value: Fill value; 0 is the mean colour of normalised images.
        forward_args: Further positional arguments of the model, such as ``(question,)``; of tensors with an entry for
            each image, parts of the batch get theirs.
        forward_kwargs: The same by name.
        batch_size: Maximum number of images per forward pass.

    Returns:
        (B, T, H, W) float32, signed, T = 1 unless there are several targets.

    Raises:
        ValueError: for bad images or targets, if the model does not return logits, or for bad `segments`.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4)
        >>> images = torch.randn(2, 3, 32, 32)
        >>> heat = cva.saliency.feature_ablation(model, images, targets=3, cells=4)
        >>> heat.shape, heat[0].unique().numel() <= 16
        (torch.Size([2, 1, 32, 32]), True)
    """
    with scorer(model, images, targets, chunk=batch_size, several=True) as scores:
        parts = label_segments(segments, cells, scores.images)
        count = int(parts.amax()) + 1
        numbers = torch.arange(count, device=images.device)
        variants = scores.variants(lambda k: show(scores.images, parts, numbers != k, value), count)
        clean = scores.clean()
        drops = torch.stack([clean - score for _, score in variants], 2)
        return paint(parts, drops)
