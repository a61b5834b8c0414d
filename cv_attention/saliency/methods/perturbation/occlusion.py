"""Implements occlusion (Zeiler and Fergus, ECCV 2014), https://arxiv.org/abs/1311.2901."""

import torch
from torch import Tensor, nn

from cv_attention.saliency.core.interface import explains
from cv_attention.saliency.core.scores import scorer
from cv_attention.saliency.core.targets import Targets


@explains
def occlusion(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    window: int | tuple[int, int] | None = None,
    stride: int | tuple[int, int] | None = None,
    value: float = 0.0,
    batch_size: int = 64,
) -> Tensor:
    """Measures the drop of the score when a window is covered, averaged per pixel over its windows; signed.

    Paper: occlusion (Zeiler and Fergus, ECCV 2014), https://arxiv.org/abs/1311.2901.

    Costs one forward pass per position of the window.

    Args:
        model: Maps images to logits (B, classes), or to what `targets` take.
        images: Model inputs (B, C, H, W).
        targets: None or ``"predicted"`` for each image's predicted class, a class index, class indices (B,),
            ``Difference(a, b)`` for why a rather than b, or a callable from the model's output to scores (B,). For
            several targets per image, class indices (B, T) or ``Several(...)``; they share one forward pass.
        window: Height and width of the window in pixels; None means an eighth of the image.
        stride: Step between windows in pixels; None means half a window. The last window is clipped at the edge.
        value: Fill value of covered pixels; 0 is the mean colour of normalised images.
        batch_size: Maximum number of images per forward pass.

    Returns:
        (B, T, H, W) float32.

    Raises:
        ValueError: for bad images or targets, or if the model does not return logits.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4)
        >>> images = torch.randn(2, 3, 32, 32)
        >>> cva.saliency.occlusion(model, images, targets=3, window=8, stride=8).shape  # covers 4 x 4 windows
        torch.Size([2, 1, 32, 32])
    """
    size = (images.shape[-2], images.shape[-1])
    window = _pair(window, (max(size[0] // 8, 1), max(size[1] // 8, 1)), "window")
    stride = _pair(stride, (max(window[0] // 2, 1), max(window[1] // 2, 1)), "stride")
    if stride[0] > window[0] or stride[1] > window[1]:
        raise ValueError(f"stride must not exceed the window, or pixels stay uncovered, got {stride} and {window}")
    rows, columns = (_starts(*sizes) for sizes in zip(size, window, stride, strict=True))
    corners = [(y, x) for y in rows for x in columns]
    with scorer(model, images, targets, chunk=batch_size, several=True) as scores:

        def cover(k: int) -> Tensor:
            y, x = corners[k]
            covered = scores.images.clone()
            covered[:, :, y : y + window[0], x : x + window[1]] = value
            return covered

        clean = scores.clean()
        heat = torch.zeros(*clean.shape, *size, device=images.device)
        count = torch.zeros(size, device=images.device)
        for k, score in scores.variants(cover, len(corners)):
            y, x = corners[k]
            heat[:, :, y : y + window[0], x : x + window[1]] += (clean - score)[:, :, None, None]
            count[y : y + window[0], x : x + window[1]] += 1
        return heat / count


def _pair(given: int | tuple[int, int] | None, default: tuple[int, int], name: str) -> tuple[int, int]:
    pair = default if given is None else (given, given) if isinstance(given, int) else tuple(given)
    if len(pair) != 2 or min(pair) < 1:
        raise ValueError(f"{name} must be positive pixels or (height, width), got {given!r}")
    return pair[0], pair[1]


def _starts(size: int, window: int, stride: int) -> range:
    """Returns the start of each window: as many as needed to reach the edge."""
    return range(0, max(size - window, 0) + stride, stride) if size > window else range(1)
