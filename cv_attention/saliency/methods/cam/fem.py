"""Implements the feature explanation method, FEM (Fuad et al., IPTA 2020), https://hal.science/hal-02963298."""

import torch
from torch import Tensor, nn

from cv_attention.saliency.core.engine import trace
from cv_attention.saliency.core.forward import ForwardArgs, ForwardKwargs
from cv_attention.saliency.core.fusion import fuse, sides
from cv_attention.saliency.core.interface import explains
from cv_attention.saliency.core.layers import Layers
from cv_attention.saliency.core.places.layouts import Layout
from cv_attention.saliency.core.targets import Targets


@explains
def fem(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    layers: Layers = None,
    layout: Layout = None,
    upsample: bool = True,
    deviations: float = 2.0,
    forward_args: ForwardArgs = (),
    forward_kwargs: ForwardKwargs = None,
    batch_size: int | None = None,
) -> Tensor:
    """Weights each channel by the fraction of its outlying positions: sum_c w_c A_c, the same for every target.

    Paper: the feature explanation method, FEM (Fuad et al., IPTA 2020), https://hal.science/hal-02963298.

    w_c is the fraction of positions whose activation is more than `deviations` standard deviations above the channel's
    mean.

    Args:
        model: Maps images to logits (B, classes), or to what `targets` take.
        images: Model inputs (B, 3, H, W), on the model's device.
        targets: Validated, but without effect.
        layers: Name, glob (``**`` crosses dots) or module, or several of these; None selects the last map of the image.
        layout: From a layer's output to (B, C, h, w), for tokens in an order that cannot be found out; it is applied
            to activations and gradients. None finds it out.
        upsample: Resize to the images' size (bilinear, ``align_corners=False``); False keeps the feature map's size,
            the largest one for several layers.
        deviations: The paper's K.
        forward_args: Further positional arguments of the model, such as ``(question,)``; of tensors with an entry for
            each image, parts of the batch get theirs.
        forward_kwargs: The same by name.
        batch_size: Maximum number of images per forward pass; larger batches are split, and a callable target then
            sees one part at a time. None processes all images at once.

    Returns:
        (B, T, H, W) float32, the same map for each of T targets.

    Raises:
        ValueError: for bad images, targets or layers, or if the model does not return logits.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4)
        >>> images = torch.randn(2, 3, 32, 32)
        >>> cva.saliency.fem(model, images, deviations=1.0).shape
        torch.Size([2, 1, 32, 32])
    """
    seen = trace(model, images, targets, layers, layout=layout, gradients=False)
    return fuse([_stand_out(a.float(), deviations) for a in seen.activations.values()], images, upsample)


@torch.no_grad()
def _stand_out(a: Tensor, deviations: float) -> Tensor:
    limit = a.mean(sides(a), keepdim=True) + deviations * a.std(sides(a), correction=0, keepdim=True)
    weights = (a > limit).float().mean(sides(a), keepdim=True)
    return (weights * a).sum(1, keepdim=True)
