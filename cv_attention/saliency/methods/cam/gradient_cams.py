"""Implements variants of Grad-CAM, which differ in the weight of each channel.

A are the layer's activations (B, C, h, w), g the derivative of the target score with respect to them. All take the
arguments of `grad_cam`, cost the same (one forward pass, and a backward pass to the first of the layers) and fuse
layers in the same way.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from cv_attention.saliency.core.engine import trace
from cv_attention.saliency.core.forward import ForwardArgs, ForwardKwargs
from cv_attention.saliency.core.fusion import fuse, sides
from cv_attention.saliency.core.interface import explains
from cv_attention.saliency.core.layers import Layers
from cv_attention.saliency.core.places.layouts import Layout
from cv_attention.saliency.core.targets import Targets, finer
from cv_attention.saliency.methods.cam.grad_cam import channel_means

Rule = Callable[[Tensor, Tensor], Tensor]


@explains
def grad_cam_plus_plus(
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
    """Computes Grad-CAM++ (Chattopadhay et al., WACV 2018), https://arxiv.org/abs/1710.11063.

    relu(sum_c w_c A_c) with w = sum(alpha relu(g)) and alpha = g^2 / (2 g^2 + sum(A) g^3 + 1e-6), 0 where g is 0:
    equation 19, for an exponential of the score, which cancels out.

    A are the layer's activations, g the gradient of the score with respect to them.

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
        (B, T, H, W) float32, at least 0, T = 1 unless there are several targets. The maps of several layers are scaled
        per image from minimum and maximum to [0, 1], resized, and averaged.

    Raises:
        ValueError: for bad images, targets or layers, or if the model does not return logits.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4)
        >>> images = torch.randn(2, 3, 32, 32)
        >>> heat = cva.saliency.grad_cam_plus_plus(model, images, targets=3)
        >>> heat.shape, bool((heat >= 0).all())
        (torch.Size([2, 1, 32, 32]), True)
    """
    return by_rule(_plus_plus, model, images, targets, layers, layout, upsample)


@explains
def xgrad_cam(
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
    """Computes XGrad-CAM (Fu et al., BMVC 2020), https://arxiv.org/abs/2008.02312: w = sum(g A) / (sum(A) + 1e-7).

    The map is relu(sum_c w_c A_c). A are the layer's activations, g the gradient of the score with respect to them.

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
        (B, T, H, W) float32, at least 0, T = 1 unless there are several targets. The maps of several layers are scaled
        per image from minimum and maximum to [0, 1], resized, and averaged.

    Raises:
        ValueError: for bad images, targets or layers, or if the model does not return logits.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4)
        >>> images = torch.randn(2, 3, 32, 32)
        >>> cva.saliency.xgrad_cam(model, images, targets=[3, 7]).shape  # a class for each image
        torch.Size([2, 1, 32, 32])
    """
    return by_rule(_xgrad, model, images, targets, layers, layout, upsample)


@explains
def shapley_cam(
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
    """Computes ShapleyCAM (Cai, 2025), https://arxiv.org/abs/2501.06261: relu(sum_c mean(g - H A / 2) A).

    A are the layer's activations, g the gradient of the score with respect to them, H
    the Hessian of the score. For a linear head it is zero, and the map equals Grad-CAM.

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
        (B, T, H, W) float32, at least 0, T = 1 unless there are several targets. The maps of several layers are scaled
        per image from minimum and maximum to [0, 1], resized, and averaged.

    Raises:
        ValueError: for bad images, targets or layers, or if the model does not return logits.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4)
        >>> images = torch.randn(2, 3, 32, 32)
        >>> heat = cva.saliency.shapley_cam(model, images, targets=3)
        >>> torch.allclose(heat, cva.saliency.grad_cam(model, images, targets=3), atol=1e-4)  # as the head is linear
        True
    """
    seen = trace(model, images, targets, layers, layout=layout, curvatures=True)
    heats = []
    with torch.no_grad():
        for gradients, curvatures in zip(seen.gradients, seen.curvatures, strict=True):
            of_layers = [
                channel_means(a, gradients[name].float() - curvatures[name].float() / 2)
                for name, a in seen.activations.items()
            ]
            heats.append(fuse(of_layers, images, upsample))
    return torch.cat(heats, 1)


@explains
def finer_cam(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    layers: Layers = None,
    layout: Layout = None,
    upsample: bool = True,
    alpha: float = 1.0,
    others: int = 3,
    forward_args: ForwardArgs = (),
    forward_kwargs: ForwardKwargs = None,
    batch_size: int | None = None,
) -> Tensor:
    """Computes Finer-CAM (Zhang et al., CVPR 2025), https://arxiv.org/abs/2501.11309: a class against similar ones.

    This is Grad-CAM of sum_d p_d (y_c - alpha y_d) / sum_d p_d over the classes d whose logits are closest to the
    target's, with probabilities p and logits y.

    Args:
        model: Maps images to logits (B, classes), or to what `targets` take.
        images: Model inputs (B, 3, H, W), on the model's device.
        targets: Class indices c, not a callable.
        layers: Name, glob (``**`` crosses dots) or module, or several of these; None selects the last map of the image.
        layout: From a layer's output to (B, C, h, w), for tokens in an order that cannot be found out; it is applied
            to activations and gradients. None finds it out.
        upsample: Resize to the images' size (bilinear, ``align_corners=False``); False keeps the feature map's size,
            the largest one for several layers.
        alpha: Weight of the other classes; 0 gives Grad-CAM.
        others: Number of other classes.
        forward_args: Further positional arguments of the model, such as ``(question,)``; of tensors with an entry for
            each image, parts of the batch get theirs.
        forward_kwargs: The same by name.
        batch_size: Maximum number of images per forward pass; larger batches are split, and a callable target then
            sees one part at a time. None processes all images at once.

    Returns:
        (B, T, H, W) float32, at least 0, T = 1 unless there are several targets. The maps of several layers are scaled
        per image from minimum and maximum to [0, 1], resized, and averaged.

    Raises:
        ValueError: for bad images, targets or layers, or if the model does not return logits.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4)
        >>> images = torch.randn(2, 3, 32, 32)
        >>> cva.saliency.finer_cam(model, images, targets=3, others=2).shape
        torch.Size([2, 1, 32, 32])
        >>> plain = cva.saliency.finer_cam(model, images, targets=3, alpha=0)
        >>> torch.allclose(plain, cva.saliency.grad_cam(model, images, targets=3), atol=1e-4)
        True
    """
    return by_rule(channel_means, model, images, finer(targets, alpha, others), layers, layout, upsample)


@torch.no_grad()
def by_rule(
    rule: Rule, model: nn.Module, images: Tensor, targets: Targets, layers: Layers, layout: Layout, upsample: bool
) -> Tensor:
    """Applies `rule` to each layer's activations and gradients, and fuses the layers to maps (B, T, H, W).

    Args:
        rule: (activations, gradients), each (B, C, h, w) float32, -> (B, 1, h, w).
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
    """
    seen = trace(model, images, targets, layers, layout=layout)
    activations = {name: a.float() for name, a in seen.activations.items()}
    heats = [[rule(a, g[name].float()) for name, a in activations.items()] for g in seen.gradients]
    return torch.cat([fuse(of_layers, images, upsample) for of_layers in heats], 1)


def weighted_sum(weights: Tensor, activations: Tensor) -> Tensor:
    """Sums activations (B, C, h, w) over the channels, each times its weights: (B, 1, h, w)."""
    return (weights * activations).sum(1, keepdim=True)


def _plus_plus(a: Tensor, g: Tensor) -> Tensor:
    return weigh_plus_plus(a, g, g**2, g**3)


def weigh_plus_plus(a: Tensor, g: Tensor, squared: Tensor, cubed: Tensor) -> Tensor:
    """Returns the Grad-CAM++ map (B, 1, h, w) of activations and the first three derivatives, each (B, C, h, w)."""
    alpha = squared / (2 * squared + a.sum(sides(a), keepdim=True) * cubed + 1e-6)
    weights = (torch.where(g == 0, 0, alpha) * g.relu()).sum(sides(a), keepdim=True)
    return weighted_sum(weights, a).relu()


def _xgrad(a: Tensor, g: Tensor) -> Tensor:
    weights = (g * a).sum(sides(a), keepdim=True) / (a.sum(sides(a), keepdim=True) + 1e-7)
    return weighted_sum(weights, a).relu()
