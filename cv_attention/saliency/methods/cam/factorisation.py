"""Implements deep feature factorisation (Collins et al., ECCV 2018), https://arxiv.org/abs/1806.10206."""

import torch
from torch import Tensor, nn

from cv_attention.saliency.core.engine import check_images, trace
from cv_attention.saliency.core.forward import ForwardArgs, ForwardKwargs
from cv_attention.saliency.core.fusion import fuse
from cv_attention.saliency.core.interface import explains
from cv_attention.saliency.core.layers import Layers
from cv_attention.saliency.core.targets import Targets


@explains
def deep_feature_factorisation(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    layers: Layers = None,
    concepts: int = 4,
    steps: int = 200,
    upsample: bool = True,
    forward_args: ForwardArgs = (),
    forward_kwargs: ForwardKwargs = None,
    batch_size: int | None = None,
) -> Tensor:
    """Computes deep feature factorisation (Collins et al., ECCV 2018), https://arxiv.org/abs/1806.10206, of a target.

    The positive part of a layer's activations, positions × channels, is factorised by non-negative matrix
    factorisation into a few concepts, each with a map and a direction; see `concept_maps` for these. The target's map
    is the sum of the concepts' maps, weighted by what their direction adds to the target's score by Grad-CAM's
    weights, sum_c mean(g_c) direction_c, g the gradient of the score.

    Args:
        model: Maps images to logits (B, classes), or to what `targets` take.
        images: Model inputs (B, 3, H, W), on the model's device.
        targets: None or ``"predicted"`` for each image's predicted class, a class index, class indices (B,),
            ``Difference(a, b)`` for why a rather than b, or a callable from the model's output to scores (B,). For
            several targets per image, class indices (B, T) or ``Several(...)``; they share one forward pass.
        layers: Name, glob (``**`` crosses dots) or module, or several of these; None selects the last spatial stage.
        concepts: Number of concepts.
        steps: Number of multiplicative updates of both factors.
        upsample: Resize to the images' size (bilinear, ``align_corners=False``); False keeps the feature map's size,
            the largest one for several layers.
        forward_args: Further positional arguments of the model, such as ``(question,)``; of tensors with an entry for
            each image, parts of the batch get theirs.
        forward_kwargs: The same by name.
        batch_size: Maximum number of images per forward pass; larger batches are split, and a callable target then
            sees one part at a time. None processes all images at once.

    Returns:
        (B, T, H, W) float32, signed, T = 1 unless there are several targets. The maps of several layers are scaled
        per image from minimum and maximum to [0, 1], resized, and averaged.

    Raises:
        ValueError: for bad images, targets or layers, or if the model does not return logits.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4)
        >>> images = torch.randn(2, 3, 32, 32)
        >>> cva.saliency.deep_feature_factorisation(model, images, targets=3, concepts=3).shape
        torch.Size([2, 1, 32, 32])
    """
    check_images(images, "deep_feature_factorisation")
    seen = trace(model, images, targets, layers)
    found = {name: factorise(a, concepts, steps) for name, a in seen.activations.items()}
    heats = []
    with torch.no_grad():
        for gradients in seen.gradients:
            of_layers = []
            for name, (maps, directions) in found.items():
                weights = gradients[name].float().mean((2, 3))
                shares = torch.einsum("bc,bkc->bk", weights, directions)
                of_layers.append(torch.einsum("bk,bkhw->bhw", shares, maps).unsqueeze(1))
            heats.append(fuse(of_layers, images, upsample))
    return torch.cat(heats, 1)


def concept_maps(
    model: nn.Module, images: Tensor, *, layers: Layers = None, concepts: int = 4, steps: int = 200
) -> tuple[Tensor, Tensor]:
    """Factorises a layer's activations into concepts, independently of a target, and for each image by itself.

    Deep feature factorisation is by Collins et al. (ECCV 2018), https://arxiv.org/abs/1806.10206.

    Args:
        model: Maps images to logits (B, classes), or to what `targets` take.
        images: Model inputs (B, 3, H, W), on the model's device.
        layers: One layer; None selects the last spatial stage.
        concepts: Number of concepts K.
        steps: Number of multiplicative updates of both factors.

    Returns:
        Maps (B, K, h, w) and directions (B, K, channels), float32, at least 0.

    Raises:
        ValueError: for bad images or layers, or if there are several layers.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4)
        >>> images = torch.randn(2, 3, 32, 32)
        >>> maps, directions = cva.saliency.concept_maps(model, images, concepts=3)
        >>> maps.shape, directions.shape
        (torch.Size([2, 3, 8, 8]), torch.Size([2, 3, 16]))
    """
    seen = trace(model, images, None, layers, gradients=False)
    if len(seen.activations) != 1:
        raise ValueError(f"concept_maps takes one layer, got {len(seen.activations)}: {', '.join(seen.activations)}")
    return factorise(next(iter(seen.activations.values())), concepts, steps)


@torch.no_grad()
def factorise(activations: Tensor, concepts: int, steps: int) -> tuple[Tensor, Tensor]:
    """Factorises relu(A), (B, C, h, w), to maps (B, K, h, w) times directions (B, K, C), each at least 0.

    Multiplicative updates (Lee and Seung, 2001) in double precision, which start at the positive parts of the singular
    vectors (NNDSVD with zeros filled by the mean), so that nothing is drawn.
    """
    if concepts < 1 or steps < 1:
        raise ValueError(f"concepts and steps must be positive, got {concepts} and {steps}")
    v = activations.double().relu().flatten(2).mT  # (B, positions, channels)
    w, h = _start(v, concepts)
    tiny = torch.finfo(torch.float32).eps
    for _ in range(steps):
        w = w * (v @ h.mT) / (w @ (h @ h.mT)).clamp(min=tiny)
        h = h * (w.mT @ v) / ((w.mT @ w) @ h).clamp(min=tiny)
    return w.mT.unflatten(2, activations.shape[2:]).float(), h.float()


def _start(v: Tensor, concepts: int) -> tuple[Tensor, Tensor]:
    u, s, vh = torch.linalg.svd(v, full_matrices=False)
    mean = v.mean((1, 2), keepdim=True)
    rows, columns = [u[..., 0].abs() * s[:, :1].sqrt()], [vh[:, 0].abs() * s[:, :1].sqrt()]
    for k in range(1, concepts):
        if k >= s.shape[1]:
            rows.append(torch.zeros_like(rows[0]))
            columns.append(torch.zeros_like(columns[0]))
            continue
        x, y = u[..., k], vh[:, k]
        sides = [(x.relu(), y.relu()), ((-x).relu(), (-y).relu())]
        sizes = [a.norm(dim=1) * b.norm(dim=1) for a, b in sides]
        first = (sizes[0] >= sizes[1])[:, None]
        a, b = (torch.where(first, one, other) for one, other in zip(*sides, strict=True))
        root = (s[:, k] * torch.maximum(*sizes)).sqrt()[:, None]
        rows.append(root * a / a.norm(dim=1, keepdim=True).clamp(min=1e-30))
        columns.append(root * b / b.norm(dim=1, keepdim=True).clamp(min=1e-30))
    w, h = torch.stack(rows, 2), torch.stack(columns, 1)
    return torch.where(w < 1e-6, mean, w), torch.where(h < 1e-6, mean, h)
