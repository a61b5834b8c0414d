"""Implements Grad-CAM (Selvaraju et al., ICCV 2017), https://arxiv.org/abs/1610.02391."""

import torch
from torch import Tensor, nn

from cv_attention.saliency.core.engine import trace
from cv_attention.saliency.core.forward import ForwardArgs, ForwardKwargs, further
from cv_attention.saliency.core.fusion import fuse, sides
from cv_attention.saliency.core.interface import explains
from cv_attention.saliency.core.layers import Layers
from cv_attention.saliency.core.places.layouts import Layout
from cv_attention.saliency.core.targets import Targets


@explains
def grad_cam(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    layers: Layers = None,
    layout: Layout = None,
    upsample: bool = True,
    forward_args: ForwardArgs = (),
    forward_kwargs: ForwardKwargs = None,
    batch_size: int | None = None,
) -> Tensor:
    """Explains each image's target by channels weighted with their mean gradient: relu(sum_c mean(g_c) A_c).

    Paper: Grad-CAM (Selvaraju et al., ICCV 2017), https://arxiv.org/abs/1610.02391.

    A are the layer's activations, g the gradient of the score with respect to them.

    The model runs in eval mode. Its mode, gradients, hooks, buffers and ``requires_grad`` are left unchanged. Frozen
    parameters, ``no_grad``, ``inference_mode``, autocast, half precision and threads that share the model are all
    supported.

    Args:
        model: Maps images to logits (B, classes), or to what `targets` take.
        images: Model inputs (B, 3, H, W), on the model's device.
        targets: None or ``"predicted"`` for each image's predicted class, a class index, class indices (B,),
            ``Difference(a, b)`` for why a rather than b, or a callable from the model's output to scores (B,). For
            several targets per image, class indices (B, T) or ``Several(...)``; they share one forward pass.
        layers: Name, glob (``**`` crosses dots) or module, or several of these; None selects the last map of the image.
        layout: From a layer's output to (B, C, h, w), for tokens in an order that cannot be found out; it is applied
            to activations and gradients. None finds it out.
        upsample: Resize to the images' size (bilinear, ``align_corners=False``); False keeps the feature map's size,
            the largest one for several layers.
        forward_args: Further positional arguments of the model, such as ``(question,)``; of tensors with an entry for
            each image, parts of the batch get theirs.
        forward_kwargs: The same by name.
        batch_size: Maximum number of images per forward pass; larger batches are split, and a callable target then
            sees one part at a time. None processes all images at once.

    Returns:
        (B, T, H, W) float32, at least 0, T = 1 unless there are several targets. For one layer these are raw values.
        Since layers differ in scale, the maps of several are scaled per image from minimum and maximum to [0, 1],
        resized, and averaged.

    Raises:
        ValueError: for bad images, targets or layers, or if the model does not return logits.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4)
        >>> images = torch.randn(2, 3, 32, 32)
        >>> cva.saliency.grad_cam(model, images).shape  # of the predicted classes
        torch.Size([2, 1, 32, 32])
        >>> cva.saliency.grad_cam(model, images, [3, 7], layers="layer2", upsample=False).shape
        torch.Size([2, 1, 16, 16])
        >>> both = cva.saliency.Several("predicted", cva.saliency.Difference("predicted", 7))
        >>> cva.saliency.grad_cam(model, images, both).shape
        torch.Size([2, 2, 32, 32])
    """
    seen = trace(model, images, targets, layers, layout=layout)
    heats = [[channel_means(a, g[name]) for name, a in seen.activations.items()] for g in seen.gradients]
    return torch.cat([fuse(of_layers, images, upsample) for of_layers in heats], 1)


def grad_cam_layers(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    layers: Layers = None,
    layout: Layout = None,
    forward_args: ForwardArgs = (),
    forward_kwargs: ForwardKwargs = None,
) -> dict[str, Tensor]:
    """Computes separate Grad-CAM maps of several layers in one pass.

    Paper: Grad-CAM (Selvaraju et al., ICCV 2017), https://arxiv.org/abs/1610.02391.

    Args:
        model: Maps images to logits (B, classes), or to what `targets` take.
        images: Model inputs (B, 3, H, W), on the model's device.
        targets: None or ``"predicted"`` for each image's predicted class, a class index, class indices (B,),
            ``Difference(a, b)`` for why a rather than b, or a callable from the model's output to scores (B,). For
            several targets per image, class indices (B, T) or ``Several(...)``; they share one forward pass.
        layers: Name, glob (``**`` crosses dots) or module, or several of these; None selects the last map of the image.
        layout: From a layer's output to (B, C, h, w), for tokens in an order that cannot be found out; it is applied
            to activations and gradients. None finds it out.
        forward_args: Further positional arguments of the model, such as ``(question,)``.
        forward_kwargs: The same by name.

    Returns:
        Layer name -> (B, T, h, w) float32, raw values at the layer's own size.

    Raises:
        ValueError: for bad images, targets or layers, or if the model does not return logits.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4)
        >>> images = torch.randn(2, 3, 32, 32)
        >>> heats = cva.saliency.grad_cam_layers(model, images, layers=["layer1", "layer3"])
        >>> {name: tuple(heat.shape) for name, heat in heats.items()}
        {'layer1': (2, 1, 32, 32), 'layer3': (2, 1, 8, 8)}
    """
    with further(forward_args, forward_kwargs, len(images)):
        seen = trace(model, images, targets, layers, layout=layout)
    return {
        name: torch.cat([channel_means(a, g[name]) for g in seen.gradients], 1) for name, a in seen.activations.items()
    }


@torch.no_grad()
def channel_means(activations: Tensor, gradients: Tensor) -> Tensor:
    """Returns relu(sum_c mean(g_c) A_c), (B, 1, h, w) float32, of activations and gradients (B, C, h, w)."""
    weights = gradients.float().mean(dim=sides(gradients), keepdim=True)
    return (weights * activations.float()).sum(dim=1, keepdim=True).relu()
