"""Computes average drop and increase in confidence (Chattopadhay et al., WACV 2018), https://arxiv.org/abs/1710.11063."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from cv_attention.saliency.core.forward import ForwardArgs, ForwardKwargs
from cv_attention.saliency.core.fusion import scale
from cv_attention.saliency.core.interface import measures
from cv_attention.saliency.core.outputs.links import Link
from cv_attention.saliency.core.scores import scorer
from cv_attention.saliency.core.targets import Targets
from cv_attention.saliency.metrics.faithfulness import check_heat


class Confidence(NamedTuple):
    """Holds the change of confidence when only salient pixels are shown.

    Attributes:
        drop: (B,), the fraction of the probability that is lost, in [0, 1]; its mean is the average drop.
        increase: bool (B,), whether the probability rises; its mean is the rate of increase.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> from cv_attention.saliency import metrics
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4).eval()
        >>> images = torch.randn(2, 3, 32, 32)
        >>> found = metrics.confidence_change(model, images, torch.rand(2, 1, 32, 32))
        >>> average_drop, rate_of_increase = found.drop.mean(), found.increase.float().mean()
        >>> found.drop.shape, found.increase.shape
        (torch.Size([2]), torch.Size([2]))
    """

    drop: Tensor
    increase: Tensor


@measures
def confidence_change(
    model: nn.Module,
    images: Tensor,
    heat: Tensor,
    targets: Targets = None,
    *,
    link: Link | None = None,
    chunk: int = 64,
    forward_args: ForwardArgs = (),
    forward_kwargs: ForwardKwargs = None,
) -> Confidence:
    """Compares confidence on each image with that on the image times its map, whose positive part is scaled to [0, 1].

    The measures are average drop and increase of Grad-CAM++ (Chattopadhay et al., WACV 2018),
    https://arxiv.org/abs/1710.11063.

    Args:
        model: Maps images to logits (B, classes).
        images: Normalised images (B, C, H, W): pixels that are not salient become 0.
        heat: The maps to evaluate, (B, 1, H, W).
        targets: Class indices, None for those predicted for the unchanged images, or a callable from the model's output
            to scores (B,); what is followed is their `link`.
        link: What turns the output into the score: ``softmax``, ``sigmoid`` or ``identity``. None follows the softmax
            of classes, the sigmoid of a single logit, and of a callable its scores, or what the target says.
        chunk: Maximum number of images per forward pass.
        forward_args: Further positional arguments of the model; tensors with an entry for each image are cut with them.
        forward_kwargs: The same by name.

    Returns:
        The relative drop, and whether the confidence rises, of each image.

    Raises:
        ValueError: for bad images or targets, or if `heat` does not fit them.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> from cv_attention.saliency import metrics
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4).eval()
        >>> images = torch.randn(2, 3, 32, 32)
        >>> found = metrics.confidence_change(model, images, cva.saliency.grad_cam(model, images))
        >>> found.drop.shape, found.increase.dtype
        (torch.Size([2]), torch.bool)
    """
    shown = scale(check_heat(heat, images).relu())
    with scorer(model, images, targets, chunk=chunk, link=link) as scores:
        before = scores.clean(probabilities=True)[:, 0]
        images = scores.images
        ((_, after),) = scores.variants(lambda _: images * shown.to(images.dtype), 1, probabilities=True)
        after = after[:, 0]
        return Confidence((before - after).relu() / before.clamp(min=torch.finfo(before.dtype).tiny), after > before)
