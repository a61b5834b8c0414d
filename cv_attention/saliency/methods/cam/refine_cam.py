"""Implements RefineCAM (Domeniconi et al., 2026), https://arxiv.org/abs/2605.14641: a product of CAMs over layers."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cv_attention.saliency.core.engine import check_images, trace
from cv_attention.saliency.core.forward import ForwardArgs, ForwardKwargs
from cv_attention.saliency.core.fusion import fuse, scale
from cv_attention.saliency.core.interface import explains
from cv_attention.saliency.core.layers import Layers
from cv_attention.saliency.core.targets import Targets
from cv_attention.saliency.methods.cam.gradient_cams import weigh_plus_plus


@explains
def refine_cam(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    layers: Layers = None,
    upsample: bool = True,
    forward_args: ForwardArgs = (),
    forward_kwargs: ForwardKwargs = None,
    batch_size: int | None = None,
) -> Tensor:
    """Computes RefineCAM (Domeniconi et al., 2026), https://arxiv.org/abs/2605.14641: the product of layers' CAMs.

    Grad-CAM++ maps of several layers are resized, scaled to [0, 1] and multiplied, as in the library pytorch-grad-cam:
    late layers say where, early ones add detail. Give the stages of the network as `layers`. Costs one forward pass and
    a backward pass to the first of the layers.

    Args:
        model: Maps images to logits (B, classes), or to what `targets` take.
        images: Model inputs (B, 3, H, W), on the model's device.
        targets: None or ``"predicted"`` for each image's predicted class, a class index, class indices (B,),
            ``Difference(a, b)`` for why a rather than b, or a callable from the model's output to scores (B,). For
            several targets per image, class indices (B, T) or ``Several(...)``; they share one forward pass.
        layers: Names, globs (``**`` crosses dots) or modules of several layers; None selects only the last spatial
            stage, whose map is not scaled.
        upsample: Resize to the images' size (bilinear, ``align_corners=False``); False keeps the largest feature map's.
        forward_args: Further positional arguments of the model, such as ``(question,)``; of tensors with an entry for
            each image, parts of the batch get theirs.
        forward_kwargs: The same by name.
        batch_size: Maximum number of images per forward pass; larger batches are split, and a callable target then
            sees one part at a time. None processes all images at once.

    Returns:
        (B, T, H, W) float32 in [0, 1], T = 1 unless there are several targets.

    Raises:
        ValueError: for bad images, targets or layers, or if the model does not return logits.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4)
        >>> images = torch.randn(2, 3, 32, 32)
        >>> cva.saliency.refine_cam(model, images, targets=3, layers=["layer1", "layer2", "layer3"]).shape
        torch.Size([2, 1, 32, 32])
    """
    check_images(images, "refine_cam")
    seen = trace(model, images, targets, layers)
    with torch.no_grad():
        activations = {name: a.float() for name, a in seen.activations.items()}
        heats = []
        for gradients in seen.gradients:
            slopes = {name: gradients[name].float() for name in activations}
            maps = [weigh_plus_plus(a, slopes[n], slopes[n] ** 2, slopes[n] ** 3) for n, a in activations.items()]
            heats.append(_multiply(maps, images, upsample))
        return torch.cat(heats, 1)


def _multiply(maps: list[Tensor], images: Tensor, upsample: bool) -> Tensor:
    """Multiplies maps (B, 1, h, w), scaled to [0, 1] at their common size; a single one is kept as it is."""
    if len(maps) == 1:
        return fuse(maps, images, upsample)
    size = tuple(images.shape[2:]) if upsample else max((m.shape[2:] for m in maps), key=lambda one: one[0] * one[1])
    resized = [F.interpolate(one, tuple(size), mode="bilinear", align_corners=False) for one in maps]
    return torch.stack([scale(one) for one in resized]).prod(0)
