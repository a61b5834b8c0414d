"""Computes numbers by which images are sorted, from each map of each image."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Boxes = Sequence[Sequence[float] | None]


def measure(values: NDArray, before: NDArray | None, boxes: Boxes) -> dict[str, list[float | None]]:
    """Measures every map of one column.

    Args:
        values: (N, h, w) heatmaps or (N, C) channel gates.
        before: The same column in the previously logged epoch; None if there is none or its shape differed.
        boxes: For each image the true box (x0, y0, x1, y1) in fractions of its width and height, or None.

    Returns:
        A list of N numbers for each measure, None if it is undefined: ``change`` since `before`,
        ``sparseness``, and with boxes also ``energy in box`` and ``peak in box``.
    """
    heat = _finite(values)
    found = {"sparseness": _plain(sparseness(heat))}
    if before is not None and before.shape == values.shape:
        found["change"] = _plain(change(heat, _finite(before)))
    if heat.ndim == 3 and any(box is not None for box in boxes):
        inside = np.stack([_coverage(box, heat.shape[1], heat.shape[2]) for box in boxes])
        found["energy in box"] = _plain(energy_inside(heat, inside))
        found["peak in box"] = _plain(peak_inside(heat, inside))
    return found


def change(now: NDArray, before: NDArray) -> NDArray[np.float32]:
    """Computes one minus Pearson's correlation of maps (N, ...): 0 same up to scale, 2 reversed; NaN if one is flat."""
    a, b = (part.reshape(len(part), -1) for part in (now, before))
    a, b = a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True)
    norms = np.sqrt((a * a).sum(1) * (b * b).sum(1))
    return 1 - (a * b).sum(1) / np.where(norms > 0, norms, np.nan)


def sparseness(heat: NDArray) -> NDArray[np.float32]:
    """Computes the Gini index of absolute values (Hurley & Rickard 2009): 0 uniform, near 1 one spot; NaN if all 0."""
    flat = np.sort(np.abs(heat.reshape(len(heat), -1)), axis=1)
    n = flat.shape[1]
    total = flat.sum(1)
    return (flat @ (2 * np.arange(1, n + 1, dtype=np.float32) - n - 1)) / (n * np.where(total > 0, total, np.nan))


def energy_inside(heat: NDArray, inside: NDArray) -> NDArray[np.float32]:
    """Computes the fraction of positive values inside (N, h, w) cell fractions; NaN where nothing is inside.

    A map without positive values gets the fraction of the area, as in `saliency.metrics.energy_pointing_game`.
    """
    positive = np.maximum(heat, 0)
    total = positive.sum((1, 2))
    share = (positive * inside).sum((1, 2)) / np.where(total > 0, total, 1)
    found = np.where(total > 0, share, inside.mean((1, 2)))
    return np.where(inside.sum((1, 2)) > 0, found, np.nan)


def peak_inside(heat: NDArray, inside: NDArray) -> NDArray[np.float32]:
    """1 where at least half of the cell of the largest value lies inside, else 0; NaN where nothing is inside.

    Of equal values the first counts, row by row, as in the pointing game of `cv_attention.saliency.metrics`.
    """
    peak = heat.reshape(len(heat), -1).argmax(1)
    hit = inside.reshape(len(heat), -1)[np.arange(len(heat)), peak] >= 0.5
    return np.where(inside.sum((1, 2)) > 0, hit.astype(np.float32), np.nan)


def _coverage(box: Sequence[float] | None, height: int, width: int) -> NDArray[np.float32]:
    """Computes the fraction of each cell that lies in the box, (h, w) in [0, 1]."""
    if box is None:
        return np.zeros((height, width), np.float32)
    x0, y0, x1, y1 = box
    across = np.clip(np.minimum(np.arange(1, width + 1), x1 * width) - np.maximum(np.arange(width), x0 * width), 0, 1)
    down = np.clip(np.minimum(np.arange(1, height + 1), y1 * height) - np.maximum(np.arange(height), y0 * height), 0, 1)
    return np.outer(down, across).astype(np.float32)


def _finite(values: NDArray) -> NDArray[np.float32]:
    return np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)


def _plain(numbers: NDArray) -> list[float | None]:
    return [float(f"{number:.3g}") if np.isfinite(number) else None for number in numbers.tolist()]
