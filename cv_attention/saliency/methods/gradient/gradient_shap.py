"""Implements GradientSHAP (Lundberg and Lee, NeurIPS 2017): gradients between noisy images and drawn baselines."""

import torch
from torch import Tensor, nn

from cv_attention.saliency.core.forward import ForwardArgs, ForwardKwargs
from cv_attention.saliency.core.interface import explains
from cv_attention.saliency.core.noise import Source
from cv_attention.saliency.core.scores import AT_ONCE, scorer
from cv_attention.saliency.core.targets import Targets
from cv_attention.saliency.methods.gradient.gradients import Channels, join


@explains
def gradient_shap(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    baselines: Tensor | None = None,
    samples: int = 32,
    noise: float = 0.1,
    seed: int = 0,
    channels: Channels = "sum",
    forward_args: ForwardArgs = (),
    forward_kwargs: ForwardKwargs = None,
    batch_size: int | None = None,
) -> Tensor:
    """Computes GradientSHAP (Lundberg and Lee, NeurIPS 2017), https://arxiv.org/abs/1705.07874.

    It approximates SHAP values by the mean of (x + n - x') times the gradient at x' + a (x + n - x'), with noise n, x'
    drawn from `baselines` and a uniform in [0, 1]. With `noise` = 0 it is `expected_gradients`.

    Args:
        model: Maps images to logits (B, classes), or to what `targets` take.
        images: Model inputs (B, C, H, W).
        targets: None or ``"predicted"`` for each image's predicted class, a class index, class indices (B,),
            ``Difference(a, b)`` for why a rather than b, or a callable from the model's output to scores (B,). For
            several targets per image, class indices (B, T) or ``Several(...)``; they share one forward pass.
        baselines: Images (N, C, H, W) to draw from, such as training images; None uses the mean colour of normalised
            images, 0.
        samples: Number of draws, the same for all images of the batch.
        noise: Standard deviation of the noise, as a fraction of each image's range (maximum - minimum).
        seed: Seed of the draws.
        channels: How channels are joined: ``max_abs``, ``sum`` or ``sum_abs``.
        forward_args: Further positional arguments of the model, such as ``(question,)``; of tensors with an entry for
            each image, parts of the batch get theirs.
        forward_kwargs: The same by name.
        batch_size: Maximum number of images per forward pass; larger batches are split, and a callable target then
            sees one part at a time. None processes all images at once.

    Returns:
        (B, T, H, W) float32, signed, T = 1 unless there are several targets.

    Raises:
        ValueError: for bad images, targets or baselines, or if the model does not return logits.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4)
        >>> images = torch.randn(2, 3, 32, 32)
        >>> training_images = torch.randn(16, 3, 32, 32)
        >>> cva.saliency.gradient_shap(model, images, baselines=training_images, samples=8).shape
        torch.Size([2, 1, 32, 32])
    """
    if samples < 1 or noise < 0:
        raise ValueError(f"samples must be positive and noise not negative, got samples={samples}, noise={noise}")
    if baselines is not None and (baselines.shape[1:] != images.shape[1:] or not len(baselines)):
        raise ValueError(f"baselines must be (N, {', '.join(map(str, images.shape[1:]))}), got {(*baselines.shape,)}")
    source = Source(seed)
    with scorer(model, images, targets, chunk=batch_size or AT_ONCE, several=True) as scores:
        x, ones = scores.images, (1,) * (images.dim() - 1)
        inside = tuple(range(1, x.dim()))
        spread = noise * (x.amax(inside, keepdim=True) - x.amin(inside, keepdim=True))
        total, ways = torch.zeros((), device=x.device), []

        def draw(_: int) -> Tensor:
            start = 0 if baselines is None else baselines[source.index(len(baselines))].to(x)[None]
            ways.append(x + spread * source.normal((1, *x.shape[1:]), x) - start)
            return start + source.uniform((1, *ones), x) * ways[-1]

        for g in scores.gradients(draw, samples):
            total = total + ways.pop(0).float().unsqueeze(1) * g / samples
        return join(total, channels)
