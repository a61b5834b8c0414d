"""Implements Ablation-CAM (Desai and Ramaswamy, WACV 2020), https://ieeexplore.ieee.org/document/9093360."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from cv_attention.saliency.core.engine import check_logits, trace
from cv_attention.saliency.core.fusion import fuse
from cv_attention.saliency.core.interface import explains
from cv_attention.saliency.core.layers import Layers, find_layers
from cv_attention.saliency.core.layouts import channel_axis
from cv_attention.saliency.core.scores import Scorer, scorer
from cv_attention.saliency.core.targets import Several, Targets, of_images, score_columns


@explains
def ablation_cam(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    layers: Layers = None,
    upsample: bool = True,
    batch_size: int = 64,
) -> Tensor:
    """Weights each channel by the drop of the score without it: relu(sum_c (y - y_c) / y A_c), y_c with A_c zeroed.

    Paper: Ablation-CAM (Desai and Ramaswamy, WACV 2020), https://ieeexplore.ieee.org/document/9093360.

    The part before the layer runs once per image and chunk of channels, if the part after it accepts a larger batch
    than the input. Costs a partial forward pass, from the layer on, for each channel and image.

    Args:
        model: Maps images to logits (B, classes).
        images: Model inputs (B, 3, H, W), on the model's device.
        targets: None or ``"predicted"`` for each image's predicted class, a class index, class indices (B,),
            ``Difference(a, b)`` for why a rather than b, or a callable from logits (B, classes) to scores (B,). For
            several targets per image, class indices (B, T) or ``Several(...)``; they share one forward pass; a callable
            receives single images' logits (1, classes), repeatedly.
        layers: Name, glob (``**`` crosses dots) or module, or several of these; None selects the last spatial stage.
        upsample: Resize to the images' size (bilinear, ``align_corners=False``); False keeps the feature map's size,
            the largest one for several layers.
        batch_size: Maximum number of images per forward pass.

    Returns:
        (B, T, H, W) float32, at least 0.

    Raises:
        ValueError: for bad images, targets or layers, or if the model does not return logits.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4)
        >>> images = torch.randn(2, 3, 32, 32)
        >>> cva.saliency.ablation_cam(model, images, targets=3, batch_size=32).shape
        torch.Size([2, 1, 32, 32])
    """
    seen = trace(model, images, targets, layers, gradients=False)
    heats = []
    with scorer(model, images, targets, chunk=batch_size, several=True) as scores:
        modules = find_layers(scores.model, scores.images, list(seen.activations))
        clean = scores.clean()
        for name, activations in seen.activations.items():
            without = torch.stack([_ablate(scores, modules[name], len(a), i) for i, a in enumerate(activations)])
            safe = torch.where(clean == 0, 1e-7, clean)[:, None]
            weights = (safe - without) / safe
            heats.append(torch.einsum("bct,bchw->bthw", weights, activations.float()).relu())
        return fuse(heats, images, upsample)


def _ablate(scores: Scorer, module: nn.Module, channels: int, number: int) -> Tensor:
    """Returns the scores (C, T) of image `number` without each of the module's channels."""
    image = scores.images[number : number + 1]
    result = []
    for start in range(0, channels, scores.chunk):
        some = list(range(start, min(start + scores.chunk, channels)))
        logits = _run(scores.model, module, image, some).float()
        result += [_score(scores, row, number) for row in logits.split(1)]
    return torch.cat(result)


def _score(scores: Scorer, logits: Tensor, number: int) -> Tensor:
    """Returns the scores (1, T) of image `number` from its `logits` (1, classes)."""
    columns = [of_images(target, slice(number, number + 1), len(scores.images)) for target in scores.targets]
    return score_columns(logits, Several(*columns))  # pyright: ignore[reportArgumentType]


def _run(model: nn.Module, module: nn.Module, image: Tensor, channels: list[int]) -> Tensor:
    """Returns the logits (n, classes) of one `image`, each with another of `module`'s `channels` zeroed."""
    with _ablated(module, image, channels):
        try:
            return check_logits(model(image), len(channels), model)
        except (RuntimeError, ValueError):  # concatenates with or reshapes to the input batch size
            return check_logits(model(image.expand(len(channels), -1, -1, -1)), len(channels), model)


@contextmanager
def _ablated(module: nn.Module, image: Tensor, channels: list[int]) -> Iterator[None]:
    thread = threading.get_ident()

    def ablate(_: nn.Module, args: object, given: Tensor) -> Tensor:
        if threading.get_ident() != thread:
            return given
        result = given[:1].repeat(len(channels), *[1] * (given.dim() - 1))
        result.movedim(channel_axis(given[:1], image), 1)[range(len(channels)), channels] = 0
        return result

    handle = module.register_forward_hook(ablate)
    try:
        yield
    finally:
        handle.remove()
