"""Implements EigenCAM (Muhammad and Yeasin, 2020) and its gradient variants: projections on a principal direction."""

import torch
from torch import Tensor, nn

from cv_attention.saliency.core.engine import trace
from cv_attention.saliency.core.forward import ForwardArgs, ForwardKwargs
from cv_attention.saliency.core.fusion import fuse
from cv_attention.saliency.core.interface import explains
from cv_attention.saliency.core.layers import Layers
from cv_attention.saliency.core.places.layouts import Layout
from cv_attention.saliency.core.targets import Targets
from cv_attention.saliency.methods.cam.gradient_cams import by_rule


@explains
def eigen_cam(
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
    """Computes EigenCAM, https://arxiv.org/abs/2008.00299: A, centred, projected on its first right singular vector.

    The map is signed and the same for every target: it needs no gradient, and shows what the layer responds to, not
    why. A are the layer's activations (B, C, h, w).

    Args:
        model: Maps images to logits (B, classes), or to what `targets` take.
        images: Model inputs (B, 3, H, W), on the model's device.
        targets: Validated, but without effect.
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
        (B, T, H, W) float32, signed. The maps of several layers are scaled per
        image from minimum and maximum to [0, 1], resized, and averaged.

    Raises:
        ValueError: for bad images, targets or layers, or if the model does not return logits.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4)
        >>> images = torch.randn(2, 3, 32, 32)
        >>> cva.saliency.eigen_cam(model, images, layers="layer2").shape
        torch.Size([2, 1, 32, 32])
    """
    seen = trace(model, images, targets, layers, layout=layout, gradients=False)
    return fuse([principal(a) for a in seen.activations.values()], images, upsample)


@explains
def eigen_grad_cam(
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
    """Computes Eigen-Grad-CAM: like `eigen_cam`, but of g A instead of A, so that it depends on the target.

    A are the layer's activations, g the gradient of the score. From the library pytorch-grad-cam; there is no paper.

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
        (B, T, H, W) float32, signed, T = 1 unless there are several targets. The maps of several layers are scaled per
        image from minimum and maximum to [0, 1], resized, and averaged.

    Raises:
        ValueError: for bad images, targets or layers, or if the model does not return logits.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4)
        >>> images = torch.randn(2, 3, 32, 32)
        >>> cva.saliency.eigen_grad_cam(model, images, targets=3).shape
        torch.Size([2, 1, 32, 32])
    """
    return by_rule(lambda a, g: principal(g * a), model, images, targets, layers, layout, upsample)


@explains
def seg_eigen_cam(
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
    """Computes Seg-Eigen-CAM (Chung and Ying, 2025), https://doi.org/10.3390/app15137562: `eigen_cam` of |g| A.

    A are the layer's activations, g the gradient of the score.

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
        (B, T, H, W) float32, signed, T = 1 unless there are several targets. The maps of several layers are scaled per
        image from minimum and maximum to [0, 1], resized, and averaged.

    Raises:
        ValueError: for bad images, targets or layers, or if the model does not return logits.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4)
        >>> images = torch.randn(2, 3, 32, 32)
        >>> cva.saliency.seg_eigen_cam(model, images, targets=3).shape
        torch.Size([2, 1, 32, 32])
    """
    return by_rule(lambda a, g: principal(g.abs() * a), model, images, targets, layers, layout, upsample)


@torch.no_grad()
def principal(features: Tensor) -> Tensor:
    """Projects each position's features on the first principal direction of the image's positions.

    The direction comes from the smaller of the two Gram matrices, all images at once, in double precision: squaring
    halves the digits. A direction's sign is arbitrary, see `orient`.

    Args:
        features: (B, C, h, w).

    Returns:
        (B, 1, h, w) float32.
    """
    rows = features.flatten(2).mT.double()  # (B, positions, channels)
    rows = rows - rows.mean(1, keepdim=True)
    if rows.shape[1] <= rows.shape[2]:
        values, vectors = torch.linalg.eigh(rows @ rows.mT)
        projected = vectors[..., -1] * values[..., -1:].clamp(min=0).sqrt()
    else:
        projected = (rows @ torch.linalg.eigh(rows.mT @ rows)[1][..., -1:])[..., 0]
    return orient(projected).unflatten(1, features.shape[2:]).unsqueeze(1).float()


def orient(projected: Tensor) -> Tensor:
    """Orients each row of (B, positions), so that its value furthest from zero is positive."""
    low, high = projected.amin(1, keepdim=True), projected.amax(1, keepdim=True)
    return torch.where(low.abs() > high.abs(), -projected, projected)
