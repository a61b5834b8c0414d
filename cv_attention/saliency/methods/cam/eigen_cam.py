"""Activations on their first principal direction: EigenCAM (Muhammad and Yeasin, 2020), with and without gradients."""

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
    """EigenCAM, https://arxiv.org/abs/2008.00299: A, centred over positions, on its first right singular vector.

    The same for every target: it needs no gradient, and explains what the layer sees and not why. Signed; arguments
    as in `grad_cam`.
    """
    seen = trace(model, images, None, layers, gradients=False)
    score_columns(seen.logits, targets)  # wrong ones are told, though they make no difference
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
    """Eigen-Grad-CAM: as `eigen_cam`, of g A in place of A, so that it depends on the target.

    Known from the library pytorch-grad-cam; no paper.
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
    """Seg-Eigen-CAM (Chung and Ying, 2025), https://doi.org/10.3390/app15137562: as `eigen_cam`, of |g| A."""
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
    """Turns each row of (B, positions) such that the end further from zero is the positive one."""
    low, high = projected.amin(1, keepdim=True), projected.amax(1, keepdim=True)
    return torch.where(low.abs() > high.abs(), -projected, projected)
