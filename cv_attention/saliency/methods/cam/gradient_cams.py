"""Implements the relatives of Grad-CAM that differ in how activations and gradients become one map.

A are the layer's activations (B, C, h, w), g the derivative of the target score by them. All take the arguments of
`grad_cam`, cost the same (one forward, and the backward down to the first of the layers) and fuse layers as it does.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from cv_attention.saliency.core.engine import trace
from cv_attention.saliency.core.fusion import fuse
from cv_attention.saliency.core.interface import explains
from cv_attention.saliency.core.layers import Layers
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
    upsample: bool = True,
    batch_size: int | None = None,
) -> Tensor:
    """Grad-CAM++ (Chattopadhay et al., WACV 2018), https://arxiv.org/abs/1710.11063.

    relu(sum_c w_c A_c) with w = sum(alpha relu(g)) and alpha = g^2 / (2 g^2 + sum(A) g^3 + 1e-6), 0 where g is 0:
    equation 19, under an exponential on the score that drops out.
    """
    return by_rule(_plus_plus, model, images, targets, layers, upsample)


@explains
def xgrad_cam(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    layers: Layers = None,
    upsample: bool = True,
    batch_size: int | None = None,
) -> Tensor:
    """XGrad-CAM (Fu et al., BMVC 2020), https://arxiv.org/abs/2008.02312: w = sum(g A) / (sum(A) + 1e-7)."""
    return by_rule(_xgrad, model, images, targets, layers, upsample)


@explains
def layer_cam(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    layers: Layers = None,
    upsample: bool = True,
    batch_size: int | None = None,
) -> Tensor:
    """LayerCAM (Jiang et al., IEEE TIP 2021), https://ieeexplore.ieee.org/document/9462463: relu(sum_c relu(g) A)."""
    return by_rule(lambda a, g: _weighted(g.relu(), a).relu(), model, images, targets, layers, upsample)


@explains
def hires_cam(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    layers: Layers = None,
    upsample: bool = True,
    batch_size: int | None = None,
) -> Tensor:
    """HiResCAM (Draelos and Carin, 2020), https://arxiv.org/abs/2011.08891: sum_c g A, signed.

    Before a head of one linear layer its sum over positions is the target's logit without the bias.
    """
    return by_rule(_weighted, model, images, targets, layers, upsample)


@explains
def grad_cam_elementwise(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    layers: Layers = None,
    upsample: bool = True,
    batch_size: int | None = None,
) -> Tensor:
    """Grad-CAM element by element: sum_c relu(g A). Known from the library pytorch-grad-cam; no paper.

    Unlike `hires_cam`, evidence against the target in one channel takes nothing from another's.
    """
    return by_rule(lambda a, g: (g * a).relu().sum(1, keepdim=True), model, images, targets, layers, upsample)


@explains
def shapley_cam(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    layers: Layers = None,
    upsample: bool = True,
    batch_size: int | None = None,
) -> Tensor:
    """ShapleyCAM (Cai, 2025), https://arxiv.org/abs/2501.06261: relu(sum_c mean(g - H A / 2) A).

    H is the Hessian of the target score by A. Where the head is linear it is zero, and the map that of Grad-CAM.
    """
    seen = trace(model, images, targets, layers, curvatures=True)
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
    upsample: bool = True,
    alpha: float = 1.0,
    others: int = 3,
    batch_size: int | None = None,
) -> Tensor:
    """Finer-CAM (Zhang et al., CVPR 2025), https://arxiv.org/abs/2501.11309: what tells a class from its neighbours.

    Grad-CAM of sum_d p_d (y_c - alpha y_d) / sum_d p_d over the classes d whose logits come nearest to the target's,
    p their probabilities.

    Args:
        model: Maps images to logits (B, classes).
        images: (B, 3, H, W) as the model takes them, on its device.
        targets: Classes c, no callable.
        layers: Name, glob (``**`` crosses dots) or module, or several of these; None takes the last spatial stage.
        upsample: Resize to the images' size (bilinear, ``align_corners=False``); False keeps the feature map's size, of
            several layers the largest.
        alpha: Weight of the other classes; 0 gives Grad-CAM.
        others: How many of them, at most all.
        batch_size: Images of one forward at most; larger batches are explained in pieces, of which a callable target
            sees one at a time. None takes all images at once.
    """
    return by_rule(channel_means, model, images, finer(targets, alpha, others), layers, upsample)


@torch.no_grad()
def by_rule(rule: Rule, model: nn.Module, images: Tensor, targets: Targets, layers: Layers, upsample: bool) -> Tensor:
    """Returns the maps (B, T, H, W) that `rule` makes of each layer's activations and gradients, layers fused.

    Args:
        rule: (activations, gradients), each (B, C, h, w) float32, -> (B, 1, h, w).
        model: Maps images to logits (B, classes).
        images: (B, 3, H, W) as the model takes them, on its device.
        targets: None or ``"predicted"`` for each image's largest logit, a class, classes (B,) such as the true ones,
            ``Difference(a, b)`` for why a rather than b, or a callable logits (B, classes) -> scores (B,). Several for
            each image: classes (B, T), or ``Several(...)`` of any; they share one forward.
        layers: Name, glob (``**`` crosses dots) or module, or several of these; None takes the last spatial stage.
        upsample: Resize to the images' size (bilinear, ``align_corners=False``); False keeps the feature map's size, of
            several layers the largest.
    """
    seen = trace(model, images, targets, layers)
    activations = {name: a.float() for name, a in seen.activations.items()}
    heats = [[rule(a, g[name].float()) for name, a in activations.items()] for g in seen.gradients]
    return torch.cat([fuse(of_layers, images, upsample) for of_layers in heats], 1)


def _weighted(weights: Tensor, activations: Tensor) -> Tensor:
    return (weights * activations).sum(1, keepdim=True)


def _plus_plus(a: Tensor, g: Tensor) -> Tensor:
    return weigh_plus_plus(a, g, g**2, g**3)


def weigh_plus_plus(a: Tensor, g: Tensor, squared: Tensor, cubed: Tensor) -> Tensor:
    """Returns Grad-CAM++'s map (B, 1, h, w) of activations and the first three derivatives, each (B, C, h, w)."""
    alpha = squared / (2 * squared + a.sum((2, 3), keepdim=True) * cubed + 1e-6)
    weights = (torch.where(g == 0, 0, alpha) * g.relu()).sum((2, 3), keepdim=True)
    return _weighted(weights, a).relu()


def _xgrad(a: Tensor, g: Tensor) -> Tensor:
    weights = (g * a).sum((2, 3), keepdim=True) / (a.sum((2, 3), keepdim=True) + 1e-7)
    return _weighted(weights, a).relu()
