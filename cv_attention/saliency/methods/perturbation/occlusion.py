"""Implements occlusion (Zeiler and Fergus, ECCV 2014), https://arxiv.org/abs/1311.2901."""

from itertools import product

import torch
from torch import Tensor, nn

from cv_attention.saliency.core.engine import check_images
from cv_attention.saliency.core.forward import ForwardArgs, ForwardKwargs
from cv_attention.saliency.core.fusion import columns
from cv_attention.saliency.core.interface import explains
from cv_attention.saliency.core.scores import scorer
from cv_attention.saliency.core.targets import Targets


@explains
def occlusion(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    window: int | tuple[int, ...] | None = None,
    stride: int | tuple[int, ...] | None = None,
    value: float = 0.0,
    forward_args: ForwardArgs = (),
    forward_kwargs: ForwardKwargs = None,
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
        window: Height and width of the window in pixels, of volumes depth, height and width; None means an eighth of
            the image.
        stride: Step between windows in pixels; None means half a window. The last window is clipped at the edge.
        value: Fill value of covered pixels; 0 is the mean colour of normalised images.
        forward_args: Further positional arguments of the model, such as ``(question,)``; of tensors with an entry for
            each image, parts of the batch get theirs.
        forward_kwargs: The same by name.
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
    size = tuple(check_images(images).shape[2:])
    window = _sides(window, [max(side // 8, 1) for side in size], "window")
    stride = _sides(stride, [max(side // 2, 1) for side in window], "stride")
    if any(step > side for step, side in zip(stride, window, strict=True)):
        raise ValueError(f"stride must not exceed the window, or pixels stay uncovered, got {stride} and {window}")
    corners = list(product(*(_starts(*sizes) for sizes in zip(size, window, stride, strict=True))))
    places = [tuple(slice(at, at + side) for at, side in zip(corner, window, strict=True)) for corner in corners]
    with scorer(model, images, targets, chunk=batch_size, several=True) as scores:

        def cover(k: int) -> Tensor:
            covered = scores.images.clone()
            covered[(slice(None), slice(None), *places[k])] = value
            return covered

        clean = scores.clean()
        heat = torch.zeros(*clean.shape, *size, device=images.device)
        count = torch.zeros(size, device=images.device)
        for k, score in scores.variants(cover, len(corners)):
            heat[(slice(None), slice(None), *places[k])] += columns(clean - score, heat)
            count[places[k]] += 1
        return heat / count


def _sides(given: int | tuple[int, ...] | None, default: list[int], name: str) -> tuple[int, ...]:
    sides = tuple(default) if given is None else (given,) * len(default) if isinstance(given, int) else tuple(given)
    if len(sides) != len(default) or min(sides) < 1:
        wanted = "(height, width)" if len(default) == 2 else "(depth, height, width)"
        raise ValueError(f"{name} must be positive pixels or {wanted}, got {given!r}")
    return sides


def _starts(size: int, window: int, stride: int) -> range:
    """Returns the start of each window: as many as needed to reach the edge."""
    return range(0, max(size - window, 0) + stride, stride) if size > window else range(1)
