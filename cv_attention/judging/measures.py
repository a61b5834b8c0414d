"""Computes the measures of one method's maps for a batch, one value per image.

``docs/evaluation.md`` explains each measure and the choice of constants.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor, nn

from cv_attention.blocks.base import check_choice
from cv_attention.blocks.importing import import_object
from cv_attention.saliency import metrics
from cv_attention.suggest import suggest


@dataclass(frozen=True)
class Case:
    """Holds one batch explained by one method.

    Attributes:
        network: The explained network.
        method: (model, images, targets) -> (B, 1, H, W).
        images: (B, 3, H, W), normalised, on the network's device.
        targets: The explained classes, (B,).
        heat: The method's maps, (B, 1, H, W).
        boxes: Bounding boxes of the objects, (B, 4), or their segmentation masks, (B, 1, H, W), all 0 for none; None
            if the data set has neither.
        steps: Parts in which insertion, deletion and selectivity change an image, each with a forward pass; None for as
            many as it is wide, and as it has patches.

    Examples:
        >>> import torch
        >>> import cv_attention as cva
        >>> from cv_attention.judging import Case
        >>> network, images = cva.backbones.build("resnet20", num_classes=10, width=4), torch.randn(2, 3, 32, 32)
        >>> heat = cva.saliency.gradient(network, images, targets=3)
        >>> case = Case(network, cva.saliency.gradient, images, torch.tensor([3, 3]), heat)
        >>> case.heat.shape
        torch.Size([2, 1, 32, 32])
    """

    network: nn.Module
    method: Callable[..., Tensor]
    images: Tensor
    targets: Tensor
    heat: Tensor
    boxes: Tensor | None = None
    steps: int | None = None


@dataclass(frozen=True)
class Measure:
    """Describes a measure of saliency maps; `evaluate_saliency` takes your own by its class path.

    Attributes:
        good: Whether ``high`` or ``low`` values are good.
        compute: Computes at most one value per image; images without a box have none if it needs boxes.
        boxes: Whether it needs boxes.

    Examples:
        >>> import torch
        >>> from cv_attention.judging import Case, Measure
        >>> def sparsity(case):  # of each map, in [0, 1]
        ...     return (case.heat.abs() < 0.1).float().mean((1, 2, 3))
        >>> measure = Measure("high", sparsity)
        >>> heat = torch.tensor([0.0, 1.0]).view(1, 1, 1, 2)
        >>> measure.compute(Case(torch.nn.Identity(), None, torch.zeros(1, 3, 1, 2), torch.tensor([0]), heat))
        tensor([0.5000])
    """

    good: Literal["high", "low"]
    compute: Callable[[Case], Tensor]
    boxes: bool = False

    def __post_init__(self) -> None:
        """Raises ValueError if `good` is neither ``high`` nor ``low``."""
        check_choice("good", self.good, ("high", "low"))


def _boxed(case: Case, game: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    assert case.boxes is not None
    kept = (case.boxes > 0).flatten(1).any(1)
    return game(case.heat[kept], case.boxes[kept]).float() if bool(kept.any()) else torch.empty(0)


def _area(case: Case, curve: Callable[..., metrics.Curve]) -> Tensor:
    pixels = None if case.steps is None else -(-case.heat[0].numel() // case.steps)
    return curve(case.network, case.images, case.heat, case.targets, step=pixels).auc


def _selectivity(case: Case) -> Tensor:
    height, width = case.heat.shape[2:]
    patches = -(-height // 8) * -(-width // 8)
    step = 1 if case.steps is None else -(-patches // case.steps)
    return metrics.selectivity(case.network, case.images, case.heat, case.targets, patch=8, step=step).auc


def _randomised(case: Case) -> Tensor:
    cascade = metrics.cascading_randomisation(case.method, case.network, case.images, case.targets)
    return torch.stack([stage.correlation for stage in cascade]).mean(0)


def _smoothly_randomised(case: Case) -> Tensor:
    found = metrics.smooth_randomisation(case.method, case.network, case.images, case.targets, samples=5)
    return found.mean(0)


MEASURES: Mapping[str, Measure] = MappingProxyType(
    {
        "insertion_auc": Measure("high", lambda c: _area(c, metrics.insertion_auc)),
        "deletion_auc": Measure("low", lambda c: _area(c, metrics.deletion_auc)),
        "road": Measure(
            "high", lambda c: metrics.road(c.network, c.images, c.heat, c.targets, probabilities=True).combined
        ),
        "average_drop": Measure(
            "low", lambda c: metrics.confidence_change(c.network, c.images, c.heat, c.targets).drop
        ),
        "average_increase": Measure(
            "high", lambda c: metrics.confidence_change(c.network, c.images, c.heat, c.targets).increase.float()
        ),
        "infidelity": Measure("low", lambda c: metrics.infidelity(c.network, c.images, c.heat, c.targets)),
        "max_sensitivity": Measure(
            "low", lambda c: metrics.max_sensitivity(c.method, c.network, c.images, c.targets, samples=5)
        ),
        "randomisation": Measure("low", _randomised),
        "smooth_randomisation": Measure("low", _smoothly_randomised),
        "entropy_rise": Measure(
            "high", lambda c: metrics.efficient_randomisation(c.method, c.network, c.images, c.targets).rise
        ),
        "arcc": Measure("high", lambda c: metrics.arcc(c.method, c.network, c.images, c.targets, heat=c.heat).arcc),
        "selectivity": Measure("low", _selectivity),
        "sparseness": Measure("high", lambda c: metrics.sparseness(c.heat)),
        "complexity": Measure("low", lambda c: metrics.complexity(c.heat)),
        "pointing": Measure("high", lambda c: _boxed(c, metrics.pointing_game), boxes=True),
        "energy_pointing": Measure("high", lambda c: _boxed(c, metrics.energy_pointing_game), boxes=True),
        "rank_accuracy": Measure("high", lambda c: _boxed(c, metrics.relevance_rank_accuracy), boxes=True),
    }
)
GRID = "grid_pointing"  # on mosaics, not on the images themselves
AGREEMENT, ATTENTION = "agreement", "attention"  # with other maps of the same image: neither good nor bad
NAMES = (*MEASURES, GRID, AGREEMENT, ATTENTION)
USUAL_MEASURES = tuple(name for name in NAMES if name != "smooth_randomisation")  # which runs a method 30 times
GOOD = MappingProxyType({**{name: measure.good for name, measure in MEASURES.items()}, GRID: "high"})


def resolve_measure(name: str) -> Measure | None:
    """Returns a measure by name or class path; None for those that need several maps or images.

    Args:
        name: One of `NAMES`, or the class path of a `Measure` of your own, such as ``my_measures.smoothness``.

    Raises:
        ValueError: if there is no such measure.
    """
    if name in NAMES:
        return MEASURES.get(name)
    if "." not in name:
        raise ValueError(f"unknown measure {name}{suggest(name, NAMES, shown=len(NAMES))}")
    fits = lambda value: isinstance(value, Measure)  # noqa: E731
    found: Measure = import_object(name, "measure", "Measure", fits, "my_measures.smoothness")
    return replace(found, compute=partial(_checked, name, found.compute))


def _checked(name: str, compute: Callable[[Case], Tensor], case: Case) -> Tensor:
    """Computes somebody else's measure; raises ValueError where it fails, or gives something else than values."""
    try:
        values = compute(case)
    except Exception as error:
        raise ValueError(f"{name} fails: {type(error).__name__}: {error}") from error
    if not isinstance(values, Tensor) or values.dim() != 1 or len(values) > len(case.images):
        got = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
        raise ValueError(f"{name} must compute a tensor of at most {len(case.images)} values, one per image; got {got}")
    if not bool(values.isfinite().all()):
        raise ValueError(f"{name} gives values that are not finite")
    return values
