"""Implements KPCA-CAM (Karmani et al., 2024), https://arxiv.org/abs/2410.00267: EigenCAM with a kernel."""

from typing import Literal

import torch
from torch import Tensor, nn

from cv_attention.saliency.core.engine import trace
from cv_attention.saliency.core.forward import ForwardArgs, ForwardKwargs
from cv_attention.saliency.core.fusion import fuse
from cv_attention.saliency.core.interface import explains
from cv_attention.saliency.core.layers import Layers
from cv_attention.saliency.core.places.layouts import Layout
from cv_attention.saliency.core.targets import Targets
from cv_attention.saliency.methods.cam.eigen_cam import orient

Kernel = Literal["sigmoid", "rbf", "linear"]


@explains
def kpca_cam(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    layers: Layers = None,
    layout: Layout = None,
    upsample: bool = True,
    kernel: Kernel = "sigmoid",
    gamma: float | None = None,
    forward_args: ForwardArgs = (),
    forward_kwargs: ForwardKwargs = None,
    batch_size: int | None = None,
) -> Tensor:
    """Computes the first kernel principal component of the positions' features; signed, the same for every target.

    Paper: KPCA-CAM (Karmani et al., 2024), https://arxiv.org/abs/2410.00267: EigenCAM with a kernel.

    Args:
        model: Maps images to logits (B, classes), or to what `targets` take.
        images: Model inputs (B, 3, H, W), on the model's device.
        targets: Validated, but without effect.
        layers: Name, glob (``**`` crosses dots) or module, or several of these; None selects the last spatial stage;
            cost and memory grow with the square of the number of positions.
        layout: From a layer's output to (B, C, h, w), for tokens in an order that cannot be found out; it is applied
            to activations and gradients. None finds it out.
        upsample: Resize to the images' size (bilinear, ``align_corners=False``); False keeps the feature map's size,
            the largest one for several layers.
        kernel: ``sigmoid``: tanh(gamma u.v + 1); ``rbf``: exp(-gamma |u - v|^2); ``linear``, which is EigenCAM.
        gamma: Scale of the kernel; None means 1 / channels.
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
        >>> heat = cva.saliency.kpca_cam(model, images, kernel="linear", upsample=False)
        >>> torch.allclose(heat, cva.saliency.eigen_cam(model, images, upsample=False), atol=1e-4)
        True
    """
    if kernel not in ("sigmoid", "rbf", "linear"):
        raise ValueError(f"kernel must be 'sigmoid', 'rbf' or 'linear', got {kernel!r}")
    seen = trace(model, images, targets, layers, layout=layout, gradients=False)
    return fuse([_component(a, kernel, gamma) for a in seen.activations.values()], images, upsample)


@torch.no_grad()
def _component(features: Tensor, kernel: str, gamma: float | None) -> Tensor:
    """Maps features (B, C, h, w) to (B, 1, h, w)."""
    rows = features.flatten(2).mT.double()
    rows = rows - rows.mean(1, keepdim=True)
    gamma = 1 / rows.shape[2] if gamma is None else gamma
    if kernel == "rbf":
        gram = torch.exp(-gamma * torch.cdist(rows, rows) ** 2)
    else:
        gram = rows @ rows.mT
        gram = torch.tanh(gamma * gram + 1) if kernel == "sigmoid" else gram
    gram = gram - gram.mean(1, keepdim=True)  # centred in the feature space of the kernel
    gram = gram - gram.mean(2, keepdim=True)
    values, vectors = torch.linalg.eigh(gram)
    projected = vectors[..., -1] * values[..., -1:].clamp(min=0).sqrt()
    return orient(projected).unflatten(1, features.shape[2:]).unsqueeze(1).float()
