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
        values: (N, h, w), or (N, C) for channel gates; see `compact`.
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


def compact(values: Tensor) -> np.ndarray:
    """Returns maps (N, ...) on the CPU: in float16, or in float32 where one is too large or too small for float16."""
    maps = values.float().cpu().numpy()
    most = np.abs(maps).max(tuple(range(1, maps.ndim)), initial=0, where=np.isfinite(maps))
    limits = np.finfo(np.float16)
    fits = ((most == 0) | (most >= float(limits.smallest_normal))) & (most <= float(limits.max))
    return maps.astype(np.float16) if fits.all() else maps
