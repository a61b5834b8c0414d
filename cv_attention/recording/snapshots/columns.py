"""Defines one kind of map of the recorded images, and how attention maps become drawable."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from cv_attention.maps import RecordedMap, to_heatmap

GRAD_CAM = "Grad-CAM"  # title of its column


@dataclass(frozen=True)
class Column:
    """One kind of map.

    Attributes:
        title: Module name or saliency method.
        source: ``attention`` or ``saliency``.
        kind: Kind of the attention map, or the method.
        values: float16 (N, h, w), or (N, C) for channel gates.
    """

    title: str
    source: str
    kind: str
    values: np.ndarray


def drawable(recorded: RecordedMap) -> Tensor:
    """Reduces a map to a heatmap (N, h, w), or to bars (N, bars) where its last axes are not a grid of positions."""
    if recorded.kind == "channel":
        return recorded.values.flatten(1)
    if recorded.kind == "alignment":
        return recorded.values.mean((1, 2))  # what each key receives, over heads and queries
    return to_heatmap(recorded)[:, 0]


def half(values: Tensor) -> np.ndarray:
    """Returns float16 values on the CPU."""
    return values.float().cpu().numpy().astype(np.float16)
