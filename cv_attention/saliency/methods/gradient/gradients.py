"""Implements the gradient of the score with respect to the pixels, plain and averaged over noise.

Each costs one forward and backward pass, or one per sample. The caller chooses how colour channels are joined: their
largest absolute value, as in Simonyan et al., their sum, or the sum of absolute values.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from cv_attention.saliency.core.forward import ForwardArgs, ForwardKwargs
from cv_attention.saliency.core.interface import explains
from cv_attention.saliency.core.noise import Source, span
from cv_attention.saliency.core.scores import AT_ONCE, scorer
from cv_attention.saliency.core.targets import Targets

Channels = Literal["max_abs", "sum", "sum_abs"]


@explains
def gradient(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    channels: Channels = "max_abs",
    forward_args: ForwardArgs = (),
    forward_kwargs: ForwardKwargs = None,
    batch_size: int | None = None,
) -> Tensor:
    """Computes the gradient (Simonyan et al., 2013), https://arxiv.org/abs/1312.6034: max_c |dy / dx|.

    Args:
        model: Maps images to logits (B, classes), or to what `targets` take.
        images: Model inputs (B, C, H, W).
        targets: None or ``"predicted"`` for each image's predicted class, a class index, class indices (B,),
            ``Difference(a, b)`` for why a rather than b, or a callable from the model's output to scores (B,). For
            several targets per image, class indices (B, T) or ``Several(...)``; they share one forward pass.
        channels: How channels are joined: ``max_abs``, ``sum`` or ``sum_abs``.
        forward_args: Further positional arguments of the model, such as ``(question,)``; of tensors with an entry for
            each image, parts of the batch get theirs.
        forward_kwargs: The same by name.
        batch_size: Maximum number of images per forward pass; larger batches are split, and a callable target then
            sees one part at a time. None processes all images at once.

    Returns:
        (B, T, H, W) float32, T = 1 unless there are several targets.

    Raises:
        ValueError: for bad images or targets, or if the model does not return logits.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4)
        >>> images = torch.randn(2, 3, 32, 32)
        >>> cva.saliency.gradient(model, images, targets=3).shape
        torch.Size([2, 1, 32, 32])
        >>> signed = cva.saliency.gradient(model, images, targets=3, channels="sum")
        >>> bool((signed < 0).any())
        True
    """
    with scorer(model, images, targets, chunk=None, several=True) as scores:
        return join(scores.gradient(scores.images), channels)


@explains
def input_x_gradient(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    channels: Channels = "sum",
    forward_args: ForwardArgs = (),
    forward_kwargs: ForwardKwargs = None,
    batch_size: int | None = None,
) -> Tensor:
    """Computes input x gradient (Shrikumar et al., 2016), https://arxiv.org/abs/1605.01713: sum_c x dy / dx, signed.

    Args:
        model: Maps images to logits (B, classes), or to what `targets` take.
        images: Model inputs (B, C, H, W).
        targets: None or ``"predicted"`` for each image's predicted class, a class index, class indices (B,),
            ``Difference(a, b)`` for why a rather than b, or a callable from the model's output to scores (B,). For
            several targets per image, class indices (B, T) or ``Several(...)``; they share one forward pass.
        channels: How channels are joined: ``max_abs``, ``sum`` or ``sum_abs``.
        forward_args: Further positional arguments of the model, such as ``(question,)``; of tensors with an entry for
            each image, parts of the batch get theirs.
        forward_kwargs: The same by name.
        batch_size: Maximum number of images per forward pass; larger batches are split, and a callable target then
            sees one part at a time. None processes all images at once.

    Returns:
        (B, T, H, W) float32, T = 1 unless there are several targets.

    Raises:
        ValueError: for bad images or targets, or if the model does not return logits.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4)
        >>> images = torch.randn(2, 3, 32, 32)
        >>> heat = cva.saliency.input_x_gradient(model, images, targets=3)
        >>> gradient = cva.saliency.gradient(model, images, targets=3, channels="sum")
        >>> heat.shape == gradient.shape
        True
    """
    with scorer(model, images, targets, chunk=None, several=True) as scores:
        return join(scores.gradient(scores.images) * scores.images.float().unsqueeze(1), channels)


@explains
def smooth_grad(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    samples: int = 25,
    noise: float = 0.15,
    seed: int = 0,
    channels: Channels = "max_abs",
    forward_args: ForwardArgs = (),
    forward_kwargs: ForwardKwargs = None,
    batch_size: int | None = None,
) -> Tensor:
    """Computes SmoothGrad (Smilkov et al., 2017), https://arxiv.org/abs/1706.03825: the mean gradient with noise.

    Args:
        model: Maps images to logits (B, classes), or to what `targets` take.
        images: Model inputs (B, C, H, W).
        targets: None or ``"predicted"`` for each image's predicted class, a class index, class indices (B,),
            ``Difference(a, b)`` for why a rather than b, or a callable from the model's output to scores (B,). For
            several targets per image, class indices (B, T) or ``Several(...)``; they share one forward pass.
        samples: Number of noisy copies.
        noise: Standard deviation of the noise, as a fraction of each image's range (maximum - minimum).
        seed: Seed of the noise, which is the same for all images of the batch.
        channels: How channels are joined after averaging: ``max_abs``, ``sum`` or ``sum_abs``.
        forward_args: Further positional arguments of the model, such as ``(question,)``; of tensors with an entry for
            each image, parts of the batch get theirs.
        forward_kwargs: The same by name.
        batch_size: Maximum number of images per forward pass; larger batches are split, and a callable target then
            sees one part at a time. None processes all images at once.

    Returns:
        (B, T, H, W) float32, T = 1 unless there are several targets.

    Raises:
        ValueError: for bad images or targets, or if the model does not return logits.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4)
        >>> images = torch.randn(2, 3, 32, 32)
        >>> cva.saliency.smooth_grad(model, images, targets=3, samples=4, noise=0.1).shape
        torch.Size([2, 1, 32, 32])
    """
    mean, _ = _moments(model, images, targets, samples, noise, seed, batch_size)
    return join(mean, channels)


@explains
def var_grad(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    samples: int = 25,
    noise: float = 0.15,
    seed: int = 0,
    channels: Channels = "sum",
    forward_args: ForwardArgs = (),
    forward_kwargs: ForwardKwargs = None,
    batch_size: int | None = None,
) -> Tensor:
    """Computes VarGrad (Adebayo et al., ICLR workshop 2018), https://arxiv.org/abs/1810.03307: gradient variance.

    This is the variance over noisy copies (divided by `samples`), by default summed over channels.

    Args:
        model: Maps images to logits (B, classes), or to what `targets` take.
        images: Model inputs (B, C, H, W).
        targets: None or ``"predicted"`` for each image's predicted class, a class index, class indices (B,),
            ``Difference(a, b)`` for why a rather than b, or a callable from the model's output to scores (B,). For
            several targets per image, class indices (B, T) or ``Several(...)``; they share one forward pass.
        samples: Number of noisy copies.
        noise: Standard deviation of the noise, as a fraction of each image's range (maximum - minimum).
        seed: Seed of the noise, which is the same for all images of the batch.
        channels: How the variances of the channels are joined: ``max_abs``, ``sum`` or ``sum_abs``.
        forward_args: Further positional arguments of the model, such as ``(question,)``; of tensors with an entry for
            each image, parts of the batch get theirs.
        forward_kwargs: The same by name.
        batch_size: Maximum number of images per forward pass; larger batches are split, and a callable target then
            sees one part at a time. None processes all images at once.

    Returns:
        (B, T, H, W) float32, at least 0, T = 1 unless there are several targets.

    Raises:
        ValueError: for bad images or targets, or if the model does not return logits.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4)
        >>> images = torch.randn(2, 3, 32, 32)
        >>> heat = cva.saliency.var_grad(model, images, targets=3, samples=4)
        >>> heat.shape, bool((heat >= 0).all())
        (torch.Size([2, 1, 32, 32]), True)
    """
    mean, square = _moments(model, images, targets, samples, noise, seed, batch_size)
    return join((square - mean**2).clamp(min=0), channels)


def join(attribution: Tensor, channels: Channels) -> Tensor:
    """Joins the channels of (B, T, C, H, W) to (B, T, H, W) float32.

    Raises:
        ValueError: if `channels` is none of the three ways.
    """
    if channels == "max_abs":
        return attribution.float().abs().amax(2)
    if channels == "sum":
        return attribution.float().sum(2)
    if channels == "sum_abs":
        return attribution.float().abs().sum(2)
    raise ValueError(f"channels must be 'max_abs', 'sum' or 'sum_abs', got {channels!r}")


def _moments(
    model: nn.Module, images: Tensor, targets: Targets, samples: int, noise: float, seed: int, batch_size: int | None
) -> tuple[Tensor, Tensor]:
    """Computes the mean and the mean squared gradient over noisy copies, each (B, T, C, H, W)."""
    if samples < 1 or noise < 0:
        raise ValueError(f"samples must be positive and noise not negative, got samples={samples}, noise={noise}")
    source = Source(seed)
    with scorer(model, images, targets, chunk=batch_size or AT_ONCE, several=True) as scores:
        x = scores.images
        spread = noise * span(x)
        mean = square = torch.zeros((), device=x.device)
        for g in scores.gradients(lambda _: x + spread * source.normal((1, *x.shape[1:]), x), samples):
            mean = mean + g / samples
            square = square + g**2 / samples
        return mean, square
