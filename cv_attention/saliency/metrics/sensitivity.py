"""Computes infidelity and max-sensitivity (Yeh et al., NeurIPS 2019), https://arxiv.org/abs/1901.09392."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from cv_attention.saliency.core.forward import ForwardArgs, ForwardKwargs, further
from cv_attention.saliency.core.interface import measures
from cv_attention.saliency.core.noise import Source
from cv_attention.saliency.core.scores import scorer
from cv_attention.saliency.core.targets import Targets
from cv_attention.saliency.metrics.faithfulness import check_heat


@measures
def infidelity(
    model: nn.Module,
    images: Tensor,
    heat: Tensor,
    targets: Targets = None,
    *,
    samples: int = 50,
    noise: float = 0.2,
    normalise: bool = True,
    seed: int = 0,
    chunk: int = 64,
    forward_args: ForwardArgs = (),
    forward_kwargs: ForwardKwargs = None,
) -> Tensor:
    """Computes the infidelity of maps, the mean of (sum(I heat) - (y(x) - y(x - I)))^2 over Gaussian perturbations I.

    The measure is that of Yeh et al. (NeurIPS 2019), https://arxiv.org/abs/1901.09392.
    Lower is better. I changes all colour channels of a pixel equally, since a map has one value per pixel.

    Args:
        model: Maps images to logits (B, classes).
        images: Model inputs (B, C, H, W).
        heat: The maps to evaluate, (B, 1, H, W).
        targets: None or ``"predicted"`` for each image's predicted class, a class index, class indices (B,),
            ``Difference(a, b)`` for why a rather than b, or a callable from the model's output to scores (B,). For
            several targets per image, class indices (B, T) or ``Several(...)``; they share one forward pass.
        samples: Number of perturbations, the same for all images.
        noise: Standard deviation of the perturbations, in units of the normalised images.
        normalise: Scale each map by its optimal factor, since most maps have no unit; the infidelity is
            then at most the mean of the squared changes.
        seed: Seed of the perturbations.
        chunk: Maximum number of images per forward pass.
        forward_args: Further positional arguments of the model; tensors with an entry for each image are cut with them.
        forward_kwargs: The same by name.

    Returns:
        (B,), at least 0.

    Raises:
        ValueError: for bad arguments, or if `heat` does not fit the images.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> from cv_attention.saliency import metrics
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4).eval()
        >>> images = torch.randn(2, 3, 32, 32)
        >>> heat = cva.saliency.input_x_gradient(model, images)
        >>> metrics.infidelity(model, images, heat, samples=10).shape
        torch.Size([2])
    """
    if samples < 1 or noise <= 0:
        raise ValueError(f"samples and noise must be positive, got {samples} and {noise}")
    heat = check_heat(heat, images)
    source = Source(seed)
    drawn: dict[int, Tensor] = {}
    predicted, changes = [], []
    with scorer(model, images, targets, chunk=chunk) as scores:

        def perturbed(k: int) -> Tensor:
            drawn[k] = noise * source.normal((1, 1, *images.shape[2:]), heat)
            return scores.images - drawn[k].to(scores.images.dtype)

        clean = scores.clean()
        for k, score in scores.variants(perturbed, samples):
            predicted.append((drawn.pop(k) * heat).flatten(1).sum(1))
            changes.append((clean - score)[:, 0])
    a, b = torch.stack(predicted), torch.stack(changes)
    if normalise:
        a = a * (a * b).mean(0) / (a * a).mean(0).clamp(min=1e-30)
    return (a - b).square().mean(0)


def max_sensitivity(
    method: Callable[..., Tensor],
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    radius: float = 0.02,
    samples: int = 10,
    seed: int = 0,
    **options: object,
) -> Tensor:
    """Computes the largest relative change of the map under small uniform noise; lower is better.

    The measure is that of Yeh et al. (NeurIPS 2019), https://arxiv.org/abs/1901.09392.

    Args:
        method: A saliency method (model, images, targets, ...) -> (B, 1, H, W).
        model: The explained model.
        images: (B, C, H, W).
        targets: None or ``"predicted"`` for each image's predicted class, a class index, class indices (B,),
            ``Difference(a, b)`` for why a rather than b, or a callable from the model's output to scores (B,). For
            several targets per image, class indices (B, T) or ``Several(...)``; they share one forward pass. None
            explains the prediction for the unchanged images throughout.
        radius: Range of the noise, [-radius, radius].
        samples: Number of perturbations, the same for all images.
        seed: Seed of the perturbations.
        **options: Options of the method.

    Returns:
        (B,), at least 0.

    Raises:
        ValueError: for bad images, targets or arguments.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> from cv_attention.saliency import metrics
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4).eval()
        >>> images = torch.randn(2, 3, 32, 32)
        >>> metrics.max_sensitivity(cva.saliency.grad_cam, model, images, samples=3).shape
        torch.Size([2])
        >>> metrics.max_sensitivity(cva.saliency.centre_bias, model, images, samples=3)  # it does not see the image
        tensor([0., 0.])
    """
    if samples < 1 or radius <= 0:
        raise ValueError(f"samples and radius must be positive, got {samples} and {radius}")
    given: tuple[Any, Any] = options.get("forward_args", ()), options.get("forward_kwargs")
    with further(given[0], given[1], len(images)), scorer(model, images, targets) as scores:
        [fixed] = scores.targets
    source = Source(seed)
    first = method(model, images, fixed, **options)
    worst = torch.zeros(len(images), device=first.device)
    size = first.flatten(1).norm(dim=1).clamp(min=1e-12)
    for _ in range(samples):
        noise = radius * (2 * source.uniform((1, *images.shape[1:]), images) - 1)
        change = method(model, images.detach() + noise, fixed, **options) - first
        worst = torch.maximum(worst, change.flatten(1).norm(dim=1) / size)
    return worst
