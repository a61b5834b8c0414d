"""Activations on their first principal direction: EigenCAM (Muhammad and Yeasin, 2020), with and without gradients."""

import torch
from torch import Tensor, nn

from cv_attention.saliency.engine import trace
from cv_attention.saliency.fusion import fuse
from cv_attention.saliency.layers import Layers
from cv_attention.saliency.targets import Targets, target_scores


def eigen_cam(
    model: nn.Module, images: Tensor, targets: Targets = None, *, layers: Layers = None, upsample: bool = True
) -> Tensor:
    """EigenCAM, https://arxiv.org/abs/2008.00299: A, centred over positions, on its first right singular vector.

    The same for every target: it needs no gradient, and explains what the layer sees and not why. Signed; arguments
    as in `grad_cam`.
    """
    seen = trace(model, images, None, layers, gradients=False)
    target_scores(seen.logits, targets)  # wrong ones are told, though they make no difference
    with torch.no_grad():
        return fuse([principal(a) for a in seen.activations.values()], images, upsample)


def eigen_grad_cam(
    model: nn.Module, images: Tensor, targets: Targets = None, *, layers: Layers = None, upsample: bool = True
) -> Tensor:
    """Eigen-Grad-CAM: as `eigen_cam`, of g A in place of A, so that it depends on the target.

    Known from the library pytorch-grad-cam; no paper.
    """
    seen = trace(model, images, targets, layers)
    with torch.no_grad():
        heats = [principal(a.float() * seen.gradients[name].float()) for name, a in seen.activations.items()]
        return fuse(heats, images, upsample)


def principal(features: Tensor) -> Tensor:
    """Projects each position's features on the first principal direction of the image's positions.

    The direction comes from the smaller of the two Gram matrices, all images at once, in double precision: squaring
    halves the digits. A direction's sign is arbitrary: the end further from zero becomes the positive one.

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
    low, high = projected.amin(1, keepdim=True), projected.amax(1, keepdim=True)
    projected = torch.where(low.abs() > high.abs(), -projected, projected)
    return projected.unflatten(1, features.shape[2:]).unsqueeze(1).float()
