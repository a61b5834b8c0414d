"""The relatives of Grad-CAM that differ only in how activations and gradients of a layer become one map.

A are the layer's activations (B, C, h, w), g the derivative of the target score by them. All take the arguments of
`grad_cam`, cost the same (one forward, and the backward down to the first of the layers) and fuse layers as it does.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from cv_attention.saliency.engine import trace
from cv_attention.saliency.fusion import fuse
from cv_attention.saliency.layers import Layers
from cv_attention.saliency.targets import Targets, finer

Rule = Callable[[Tensor, Tensor], Tensor]


def grad_cam_plus_plus(
    model: nn.Module, images: Tensor, targets: Targets = None, *, layers: Layers = None, upsample: bool = True
) -> Tensor:
    """Grad-CAM++ (Chattopadhay et al., WACV 2018), https://arxiv.org/abs/1710.11063.

    relu(sum_c w_c A_c) with w = sum(alpha relu(g)) and alpha = g^2 / (2 g^2 + sum(A) g^3 + 1e-6), 0 where g is 0:
    equation 19, under an exponential on the score that drops out.
    """
    return _explain(_plus_plus, model, images, targets, layers, upsample)


def xgrad_cam(
    model: nn.Module, images: Tensor, targets: Targets = None, *, layers: Layers = None, upsample: bool = True
) -> Tensor:
    """XGrad-CAM (Fu et al., BMVC 2020), https://arxiv.org/abs/2008.02312: w = sum(g A) / (sum(A) + 1e-7)."""
    return _explain(_xgrad, model, images, targets, layers, upsample)


def layer_cam(
    model: nn.Module, images: Tensor, targets: Targets = None, *, layers: Layers = None, upsample: bool = True
) -> Tensor:
    """LayerCAM (Jiang et al., IEEE TIP 2021), https://ieeexplore.ieee.org/document/9462463: relu(sum_c relu(g) A)."""
    return _explain(lambda a, g: (g.relu() * a).sum(1, keepdim=True).relu(), model, images, targets, layers, upsample)


def hires_cam(
    model: nn.Module, images: Tensor, targets: Targets = None, *, layers: Layers = None, upsample: bool = True
) -> Tensor:
    """HiResCAM (Draelos and Carin, 2020), https://arxiv.org/abs/2011.08891: sum_c g A, signed.

    Before a head of one linear layer its sum over positions is the target's logit without the bias.
    """
    return _explain(lambda a, g: (g * a).sum(1, keepdim=True), model, images, targets, layers, upsample)


def shapley_cam(
    model: nn.Module, images: Tensor, targets: Targets = None, *, layers: Layers = None, upsample: bool = True
) -> Tensor:
    """ShapleyCAM (Cai, 2025), https://arxiv.org/abs/2501.06261: relu(sum_c mean(g - H A / 2) A).

    H is the Hessian of the target score by A. Where the head is linear it is zero, and the map that of Grad-CAM.
    """
    seen = trace(model, images, targets, layers, curvatures=True)
    with torch.no_grad():
        heats = []
        for name, a in seen.activations.items():
            weights = (seen.gradients[name].float() - seen.curvatures[name].float() / 2).mean((2, 3), keepdim=True)
            heats.append((weights * a.float()).sum(1, keepdim=True).relu())
        return fuse(heats, images, upsample)


def finer_cam(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    layers: Layers = None,
    upsample: bool = True,
    alpha: float = 1.0,
    others: int = 3,
) -> Tensor:
    """Finer-CAM (Zhang et al., CVPR 2025), https://arxiv.org/abs/2501.11309: what tells a class from its neighbours.

    Grad-CAM of sum_d p_d (y_c - alpha y_d) / sum_d p_d over the classes d whose logits come nearest to the target's,
    p their probabilities.

    Args:
        model: As in `grad_cam`; so are `images`, `layers` and `upsample`.
        images: Likewise.
        targets: Classes c, no callable.
        layers: Likewise.
        upsample: Likewise.
        alpha: Weight of the other classes; 0 gives Grad-CAM.
        others: How many of them, at most all.
    """
    return _explain(_grad_cam, model, images, finer(targets, alpha, others), layers, upsample)


def _explain(rule: Rule, model: nn.Module, images: Tensor, targets: Targets, layers: Layers, upsample: bool) -> Tensor:
    seen = trace(model, images, targets, layers)
    with torch.no_grad():
        heats = [rule(a.float(), seen.gradients[name].float()) for name, a in seen.activations.items()]
        return fuse(heats, images, upsample)


def _grad_cam(a: Tensor, g: Tensor) -> Tensor:
    return (g.mean((2, 3), keepdim=True) * a).sum(1, keepdim=True).relu()


def _plus_plus(a: Tensor, g: Tensor) -> Tensor:
    return weigh_plus_plus(a, g, g**2, g**3)


def weigh_plus_plus(a: Tensor, g: Tensor, squared: Tensor, cubed: Tensor) -> Tensor:
    """Returns Grad-CAM++'s map (B, 1, h, w) of activations and the first three derivatives, each (B, C, h, w)."""
    alpha = squared / (2 * squared + a.sum((2, 3), keepdim=True) * cubed + 1e-6)
    weights = (torch.where(g == 0, 0, alpha) * g.relu()).sum((2, 3), keepdim=True)
    return (weights * a).sum(1, keepdim=True).relu()


def _xgrad(a: Tensor, g: Tensor) -> Tensor:
    weights = (g * a).sum((2, 3), keepdim=True) / (a.sum((2, 3), keepdim=True) + 1e-7)
    return (weights * a).sum(1, keepdim=True).relu()
