"""Implements EigenCAM (Muhammad and Yeasin, 2020) and its gradient variants: projections on a principal direction."""

import torch
from torch import Tensor, nn

from cv_attention.saliency.core.engine import trace
from cv_attention.saliency.core.fusion import fuse
from cv_attention.saliency.core.interface import explains
from cv_attention.saliency.core.layers import Layers
from cv_attention.saliency.core.targets import Targets, score_columns
from cv_attention.saliency.methods.cam.gradient_cams import by_rule


@explains
def eigen_cam(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    layers: Layers = None,
    upsample: bool = True,
    batch_size: int | None = None,
) -> Tensor:
    """Computes EigenCAM, https://arxiv.org/abs/2008.00299: A, centred, projected on its first right singular vector.

    The map is signed and the same for every target: it needs no gradient, and shows what the layer responds to, not
    why. Arguments as in `grad_cam`.
    """
    seen = trace(model, images, None, layers, gradients=False)
    score_columns(seen.logits, targets)  # validates the targets, which have no effect
    return fuse([principal(a) for a in seen.activations.values()], images, upsample)


@explains
def eigen_grad_cam(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    layers: Layers = None,
    upsample: bool = True,
    batch_size: int | None = None,
) -> Tensor:
    """Computes Eigen-Grad-CAM: like `eigen_cam`, but of g A instead of A, so that it depends on the target.

    From the library pytorch-grad-cam; there is no paper.
    """
    return by_rule(lambda a, g: principal(g * a), model, images, targets, layers, upsample)


@explains
def seg_eigen_cam(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    layers: Layers = None,
    upsample: bool = True,
    batch_size: int | None = None,
) -> Tensor:
    """Computes Seg-Eigen-CAM (Chung and Ying, 2025), https://doi.org/10.3390/app15137562: `eigen_cam` of |g| A."""
    return by_rule(lambda a, g: principal(g.abs() * a), model, images, targets, layers, upsample)


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
