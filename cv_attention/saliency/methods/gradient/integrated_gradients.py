"""Implements integrated and expected gradients: gradients between a baseline and the image."""

import numpy as np
import torch
from torch import Tensor, nn

from cv_attention.saliency.core.forward import ForwardArgs, ForwardKwargs
from cv_attention.saliency.core.interface import explains
from cv_attention.saliency.core.noise import Source
from cv_attention.saliency.core.scores import AT_ONCE, scorer
from cv_attention.saliency.core.targets import Targets
from cv_attention.saliency.methods.gradient.gradients import Channels, join


@explains
def integrated_gradients(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    baseline: Tensor | float = 0.0,
    steps: int = 32,
    channels: Channels = "sum",
    forward_args: ForwardArgs = (),
    forward_kwargs: ForwardKwargs = None,
    batch_size: int | None = None,
) -> Tensor:
    """Computes integrated gradients (Sundararajan et al., ICML 2017), https://arxiv.org/abs/1703.01365.

    This is (x - x') times the mean gradient between the baseline x' and x, by Gauss-Legendre quadrature. The map sums
    to score(x) - score(x') if `steps` suffice. Costs `steps` forward and backward passes.

    Args:
        model: Maps images to logits (B, classes), or to what `targets` take.
        images: Model inputs (B, C, H, W).
        targets: None or ``"predicted"`` for each image's predicted class, a class index, class indices (B,),
            ``Difference(a, b)`` for why a rather than b, or a callable from the model's output to scores (B,). For
            several targets per image, class indices (B, T) or ``Several(...)``; they share one forward pass.
        baseline: A value, or an image or batch of them that broadcasts to `images`; 0 is the mean colour of
            normalised images.
        steps: Number of integration nodes.
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
        >>> heat = cva.saliency.integrated_gradients(model, images, targets=3, steps=32)
        >>> with torch.no_grad():
        ...     change = (model.eval()(images) - model(torch.zeros_like(images)))[:, 3]
        >>> torch.allclose(heat.sum((1, 2, 3)), change, atol=0.05)  # the map distributes the change of the score
        True
    """
    if steps < 1:
        raise ValueError(f"steps must be positive, got {steps}")
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    with scorer(model, images, targets, chunk=batch_size or AT_ONCE, several=True) as scores:
        start = broadcast(baseline, scores.images)
        way = scores.images - start
        total = torch.zeros((), device=way.device)
        gradients = scores.gradients(lambda k: start + float(nodes[k] + 1) / 2 * way, steps)
        for weight, g in zip(weights.tolist(), gradients, strict=True):
            total = total + weight / 2 * g
        return join(total * way.float().unsqueeze(1), channels)


@explains
def expected_gradients(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    baselines: Tensor | None = None,
    samples: int = 32,
    seed: int = 0,
    channels: Channels = "sum",
    forward_args: ForwardArgs = (),
    forward_kwargs: ForwardKwargs = None,
    batch_size: int | None = None,
) -> Tensor:
    """Computes expected gradients (Erion et al., 2021), https://arxiv.org/abs/1906.10670, over several baselines.

    This is the mean of (x - x') times the gradient at x' + a (x - x'), with x' from `baselines` and a uniform in [0,
    1].

    Args:
        model: Maps images to logits (B, classes), or to what `targets` take.
        images: Model inputs (B, C, H, W).
        targets: None or ``"predicted"`` for each image's predicted class, a class index, class indices (B,),
            ``Difference(a, b)`` for why a rather than b, or a callable from the model's output to scores (B,). For
            several targets per image, class indices (B, T) or ``Several(...)``; they share one forward pass.
        baselines: Images (N, C, H, W) to draw from, such as training images; None draws a normally distributed colour
            for the whole image.
        samples: Number of draws, the same for all images of the batch.
        seed: Seed of the draws.
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
        >>> training_images = torch.randn(16, 3, 32, 32)
        >>> cva.saliency.expected_gradients(model, images, baselines=training_images, samples=8).shape
        torch.Size([2, 1, 32, 32])
    """
    if samples < 1:
        raise ValueError(f"samples must be positive, got {samples}")
    if baselines is not None and (
        baselines.ndim != images.ndim or baselines.shape[1:] != images.shape[1:] or not len(baselines)
    ):
        raise ValueError(f"baselines must be (N, {', '.join(map(str, images.shape[1:]))}), got {(*baselines.shape,)}")
    source = Source(seed)
    with scorer(model, images, targets, chunk=batch_size or AT_ONCE, several=True) as scores:
        x = scores.images
        total = torch.zeros((), device=x.device)
        ways = []
        ones = [1] * (x.dim() - 2)

        def draw(_: int) -> Tensor:
            if baselines is None:
                start = source.normal((1, x.shape[1], *ones), x)
            else:
                start = baselines[source.index(len(baselines))].to(x)[None]
            ways.append(x - start)
            return start + source.uniform((1, 1, *ones), x) * ways[-1]

        for g in scores.gradients(draw, samples):
            total = total + ways.pop(0).float().unsqueeze(1) * g / samples
        return join(total, channels)


def broadcast(baseline: Tensor | float, images: Tensor) -> Tensor:
    """Returns a baseline for each image, (B, C, H, W); raises ValueError if it does not broadcast to the images."""
    if not isinstance(baseline, Tensor):
        return torch.full_like(images, baseline)
    try:
        return baseline.detach().to(images).expand_as(images)
    except RuntimeError:
        raise ValueError(
            f"baseline must broadcast to the images {tuple(images.shape)}, got {tuple(baseline.shape)}"
        ) from None
