"""Implements sanity checks (Adebayo et al., NeurIPS 2018), https://arxiv.org/abs/1810.03292."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from cv_attention.maps.wrappers import unwrap
from cv_attention.saliency.core.forward import further
from cv_attention.saliency.core.scores import scorer
from cv_attention.saliency.core.targets import Targets
from cv_attention.saliency.metrics.agreement import rank_correlation, structural_similarity


class Randomised(NamedTuple):
    """Holds the similarity of maps before and after randomising part of the weights.

    Attributes:
        part: The last part that was randomised; all later parts of the model were too.
        correlation: Spearman's correlation (B,).
        similarity: SSIM (B,), NaN for maps below 11x11.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> from cv_attention.saliency import metrics
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4).eval()
        >>> images = torch.randn(2, 3, 32, 32)
        >>> stages = metrics.cascading_randomisation(cva.saliency.gradient, model, images)
        >>> stages[0].part, stages[0].correlation.shape
        ('fc', torch.Size([2]))
    """

    part: str
    correlation: Tensor
    similarity: Tensor


def cascading_randomisation(
    method: Callable[..., Tensor],
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    *,
    seed: int = 0,
    **options: object,
) -> list[Randomised]:
    """Randomises the model's parts one after the other, from the logits down, and compares the maps with the first.

    This is the sanity check of Adebayo et al. (NeurIPS 2018), https://arxiv.org/abs/1810.03292.
    The maps of a method that explains the model change at once; maps that stay similar merely show edges of the image.
    Parts are the model's children with parameters, in reverse order. The model is copied first.

    Args:
        method: A saliency method (model, images, targets, ...) -> (B, 1, H, W).
        model: The explained model.
        images: (B, C, H, W).
        targets: None or ``"predicted"`` for each image's predicted class, a class index, class indices (B,),
            ``Difference(a, b)`` for why a rather than b, or a callable from the model's output to scores (B,). For
            several targets per image, class indices (B, T) or ``Several(...)``; they share one forward pass. None
            explains throughout what the untouched model predicts.
        seed: Seed of the random weights; the process's own random state is left alone.
        **options: Options of the method.

    Returns:
        The similarities after each part, in the order of randomisation.

    Raises:
        ValueError: for bad images or targets, or if the model has no parts with parameters.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> from cv_attention.saliency import metrics
        >>> model = cva.backbones.build("resnet20", num_classes=10, width=4).eval()
        >>> images = torch.randn(2, 3, 32, 32)
        >>> stages = metrics.cascading_randomisation(cva.saliency.gradient, model, images)
        >>> [stage.part for stage in stages]
        ['fc', 'layer3', 'layer2', 'layer1', 'bn1', 'conv1']
        >>> centre = metrics.cascading_randomisation(cva.saliency.centre_bias, model, images)
        >>> centre[-1].correlation  # this map does not depend on the model at all
        tensor([1., 1.])
    """
    given: tuple[Any, Any] = options.get("forward_args", ()), options.get("forward_kwargs")
    with further(given[0], given[1], len(images)), scorer(model, images, targets) as scores:
        [fixed] = scores.targets
    first = method(model, images, fixed, **options)
    copy = deepcopy(unwrap(model))
    parts = parts_of(copy, model)
    results = []
    for number, (name, part) in enumerate(reversed(parts)):
        randomise(part, seed + number)
        heat = method(copy, images, fixed, **options)
        same_size = min(heat.shape[2:]) >= 11
        results.append(
            Randomised(
                name,
                rank_correlation(first, heat),
                structural_similarity(first, heat) if same_size else torch.full((len(images),), torch.nan),
            )
        )
    return results


def parts_of(copy: nn.Module, model: nn.Module) -> list[tuple[str, nn.Module]]:
    """Returns the children with parameters of a copy of `model`, or of the only model inside it, by name.

    Raises:
        ValueError: if there are none.
    """
    parts = [(name, part) for name, part in copy.named_children() if any(True for _ in part.parameters())]
    while len(parts) == 1 and any(True for _ in parts[0][1].children()):  # a model inside a model
        prefix, only = parts[0]
        parts = [(f"{prefix}.{n}", p) for n, p in only.named_children() if any(True for _ in p.parameters())]
    if not parts:
        raise ValueError(f"{type(model).__name__} has no parts with parameters to randomise")
    return parts


@torch.no_grad()
def randomise(part: nn.Module, seed: int) -> None:
    """Draws new parameters for `part`, as its modules do themselves, or from a normal distribution."""
    devices = {p.device for p in part.parameters() if p.device.type == "cuda"}
    with torch.random.fork_rng(list(devices)):
        torch.manual_seed(seed)
        for module in part.modules():
            reset = getattr(module, "reset_parameters", None)
            if callable(reset):
                reset()
            else:
                for parameter in module.parameters(recurse=False):
                    parameter.normal_(std=0.02)
