"""Implements LIME (Ribeiro et al., KDD 2016), https://arxiv.org/abs/1602.04938, by captum."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from cv_attention.extras import require_for
from cv_attention.saliency.core.forward import ForwardArgs, ForwardKwargs
from cv_attention.saliency.core.interface import explains
from cv_attention.saliency.core.noise import Source
from cv_attention.saliency.core.outputs.links import Link
from cv_attention.saliency.core.scores import scorer
from cv_attention.saliency.core.targets import Targets, of_images
from cv_attention.saliency.methods.perturbation.segments import label_segments


@explains
def lime(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    cells: int = 8,
    segments: Tensor | None = None,
    samples: int = 500,
    value: float = 0.0,
    width: float = 0.25,
    alpha: float = 1.0,
    link: Link | None = None,
    seed: int = 0,
    forward_args: ForwardArgs = (),
    forward_kwargs: ForwardKwargs = None,
    batch_size: int = 64,
) -> Tensor:
    """Returns signed coefficients of a ridge regression from visible segments to the target's probability.

    Paper: LIME (Ribeiro et al., KDD 2016), https://arxiv.org/abs/1602.04938, by captum.

    Each segment is covered with probability 1/2 in each sample. A sample has the weight sqrt(exp(-d^2 / width^2)), with
    d the cosine distance between its visible segments and all segments, as in the authors' code for images. Segments
    are the cells of a grid unless others, such as superpixels, are given. Costs `samples` forward passes.

    Args:
        model: Maps images to logits (B, classes), or to what `targets` take.
        images: Model inputs (B, C, H, W).
        targets: Class indices, or a callable from the model's output to scores (B,); what is followed is their `link`.
        cells: Number of grid cells along each side.
        segments: Integer labels from 0, (1, 1, H, W) for all images or (B, 1, H, W).
        samples: Number of samples per image.
        value: Fill value of covered pixels; 0 is the mean colour of normalised images.
        width: Width of the kernel.
        alpha: Strength of the ridge penalty.
        link: What turns the output into the score: ``softmax``, ``sigmoid`` or ``identity``. None follows the softmax
            of classes, the sigmoid of a single logit, and of a callable its scores, or what the target says.
        seed: Seed of the samples.
        forward_args: Further positional arguments of the model, such as ``(question,)``; of tensors with an entry for
            each image, parts of the batch get theirs.
        forward_kwargs: The same by name.
        batch_size: Maximum number of images per forward pass.

    Returns:
        (B, T, H, W) float32.

    Raises:
        MissingPackage: if captum is not installed.
        ValueError: for bad images or targets, if the model does not return logits, or for bad `segments`.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4)
        >>> images = torch.randn(2, 3, 32, 32)
        >>> heat = cva.saliency.lime(model, images, targets=3, cells=4, samples=20)  # use hundreds of samples
        >>> heat.shape, heat[0].unique().numel()  # one coefficient for each of 4 x 4 cells
        (torch.Size([2, 1, 32, 32]), 16)
    """
    if min(cells, samples, width) <= 0 or alpha < 0:
        raise ValueError(
            f"cells, samples, width must be positive and alpha not negative, got {cells}, {samples}, {width}, {alpha}"
        )
    captum = _captum()
    with (
        torch.random.fork_rng(devices=[]),  # captum's data loader draws a seed
        scorer(model, images, targets, chunk=batch_size, several=True, link=link) as scores,
    ):
        parts = label_segments(segments, cells, scores.images)
        heat = torch.zeros(len(images), len(scores.targets), *images.shape[2:], device=images.device)
        for number, image in enumerate(scores.images.split(1)):
            part = parts[number % len(parts)][None]
            for column, target in enumerate(scores.targets):
                of_image = of_images(target, slice(number, number + 1), len(images))

                def probability(inputs: Tensor, number: int = number, target: Any = of_image) -> Tensor:
                    return scores.alone(inputs, number, target)

                surrogate = captum.Lime(probability, _ridge(alpha), _Kernel(width), _Shown(seed))
                heat[number, column] = surrogate.attribute(
                    image,
                    baselines=value,
                    feature_mask=part.expand_as(image),
                    n_samples=samples,
                    perturbations_per_eval=scores.copies(1),
                )[0, 0].float()
        return heat


def _captum() -> Any:
    require_for("lime")
    import captum.attr

    return captum.attr


def _ridge(alpha: float) -> Any:
    from captum._utils.models.linear_model import SkLearnRidge

    return SkLearnRidge(alpha=alpha)


class _Shown:
    """Draws the visible segments of a sample, each with probability 1/2."""

    def __init__(self, seed: int) -> None:
        self.source = Source(seed)

    def __call__(self, image: Tensor, **options: Any) -> Tensor:
        """Returns zeros and ones (1, segments)."""
        shape = (1, options["num_interp_features"])
        return (self.source.uniform(shape, torch.empty(0)) < 0.5).long().to(image.device)


class _Kernel:
    """Computes the weight of a sample from the fraction of visible segments."""

    def __init__(self, width: float) -> None:
        self.width = width

    def __call__(self, image: Tensor, changed: Tensor, shown: Tensor, **options: Any) -> float:
        """Returns the weight; the cosine between a binary vector and ones is the square root of its mean."""
        distance = 1 - math.sqrt(float(shown.float().mean()))
        return math.exp(-(distance**2) / (2 * self.width**2))
