"""Grad-CAM (Selvaraju et al., ICCV 2017), https://arxiv.org/abs/1610.02391."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from cv_attention.saliency.engine import trace, trace_classes
from cv_attention.saliency.fusion import fuse
from cv_attention.saliency.layers import Layers
from cv_attention.saliency.targets import Targets


def grad_cam(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    layers: Layers = None,
    upsample: bool = True,
) -> Tensor:
    """Explains each image's target by where its channels' average gradients find evidence: relu(sum_c mean(g_c) A_c).

    The model is explained as it predicts, in eval mode. Mode, gradients, hooks, buffers and ``requires_grad`` are left
    as found. Frozen parameters, ``no_grad``, ``inference_mode``, autocast, half precision and threads that share the
    model are all fine.

    Args:
        model: Maps images to logits (B, classes).
        images: (B, 3, H, W) as the model takes them, on its device.
        targets: None or ``"predicted"`` for each image's largest logit, a class, classes (B,), or a callable
            logits (B, classes) -> scores (B,).
        layers: Name, glob (``*`` matches dots) or module, or several of these; None takes the last spatial stage.
        upsample: Resize to the images' size (bilinear, ``align_corners=False``); False keeps the feature map's size, of
            several layers the largest.

    Returns:
        (B, 1, H, W) float32, at least 0. Of one layer these are raw values. Several layers differ in scale: each one's
        map is scaled per image from its minimum and maximum to [0, 1], then resized, and the mean over layers taken.

    Raises:
        ValueError: for bad images, targets or layers, or if the model does not return logits.
    """
    return fuse(list(grad_cam_layers(model, images, targets, layers=layers).values()), images, upsample)


def grad_cam_layers(
    model: nn.Module, images: Tensor, targets: Targets = None, *, layers: Layers = None
) -> dict[str, Tensor]:
    """Computes Grad-CAM of several layers in one pass, each by itself; the arguments are those of `grad_cam`.

    Returns:
        Layer name -> (B, 1, h, w) float32, raw values at the layer's own size.
    """
    seen = trace(model, images, targets, layers)
    return {name: _cam(seen.activations[name], seen.gradients[name]) for name in seen.activations}


def grad_cam_classes(
    model: nn.Module,
    images: Tensor,
    choose: Callable[[Tensor], Tensor],
    *,
    layers: Layers = None,
    upsample: bool = True,
) -> tuple[Tensor, Tensor]:
    """Computes Grad-CAM of several classes in one forward; the arguments are those of `grad_cam`, but for one.

    Args:
        model: As in `grad_cam`.
        images: As in `grad_cam`.
        choose: Logits (B, classes) -> the classes (B, K) to explain, such as ``lambda logits: logits.topk(3).indices``.
        layers: As in `grad_cam`.
        upsample: As in `grad_cam`.

    Returns:
        The classes (B, K), and the maps (B, K, H, W) float32.
    """
    classes, traces = trace_classes(model, images, choose, layers)
    heats = [[_cam(seen.activations[n], seen.gradients[n]) for n in seen.activations] for seen in traces]
    return classes, torch.cat([fuse(heat, images, upsample) for heat in heats], dim=1)


@torch.no_grad()
def _cam(activations: Tensor, gradients: Tensor) -> Tensor:
    weights = gradients.float().mean(dim=(2, 3), keepdim=True)
    return (weights * activations.float()).sum(dim=1, keepdim=True).relu()
