"""Draws heatmaps over slices of volumes and frames of videos."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cv_attention.drawing.overlays import overlay
from cv_attention.drawing.pixels import as_heat, as_pixels
from cv_attention.drawing.scaling import limits_of


def overlay_slices(
    volume: NDArray[np.uint8],
    heat: ArrayLike,
    opacity: float = 0.5,
    *,
    slices: Sequence[int] | None = None,
    colours: str | None = None,
    signed: bool | None = None,
    clip: float = 100,
) -> NDArray[np.uint8]:
    """Draws a heatmap over slices of a volume, or frames of a video, side by side and on one scale.

    Args:
        volume: (D, H, W) uint8 in grey, or (D, H, W, 3) RGB.
        heat: (d, h, w) raw values of any size and range; or one volume's (1, 1, d, h, w), such as a saliency method
            returns. Along the depth it is interpolated linearly.
        opacity: Share of the heatmap, in [0, 1].
        slices: Which slices; None takes eight at equal distances, or all if there are fewer.
        colours: Name of a table; see `overlay`.
        signed: Whether zero is in the middle of the table; see `overlay`.
        clip: Share of the values within the scale, in percent; see `overlay`.

    Returns:
        (H, slices * W, 3) uint8 RGB.

    Raises:
        ValueError: if `volume`, `heat` or `slices` is none of that.

    Examples:
        >>> import numpy as np
        >>> import cv_attention as cva
        >>> scan = np.full((20, 32, 48), 128, np.uint8)
        >>> heat = np.arange(5.0 * 4 * 6).reshape(5, 4, 6)
        >>> cva.overlay_slices(scan, heat, slices=[0, 10, 19]).shape
        (32, 144, 3)
    """
    values = as_heat(heat, 3)
    if not isinstance(volume, np.ndarray) or volume.dtype != np.uint8 or volume.shape[3:] not in ((), (3,)):
        got = f"{volume.shape} {volume.dtype}" if isinstance(volume, np.ndarray) else type(volume).__name__
        raise ValueError(f"volume must be (D, H, W) or (D, H, W, 3) uint8, got {got}")
    depth = len(volume)
    chosen = np.unique(np.linspace(0, depth - 1, 8).round().astype(int)) if slices is None else slices
    if not len(chosen) or not all(0 <= number < depth for number in chosen):
        raise ValueError(f"slices must be numbers in 0..{depth - 1}, got {list(chosen)}")
    scale = limits_of(values, signed=signed, clip=clip)
    pictures = []
    for number in chosen:
        place = min(max((number + 0.5) * len(values) / depth - 0.5, 0.0), len(values) - 1.0)
        below = int(place)
        above = min(below + 1, len(values) - 1)
        plane = values[below] + (place - below) * (values[above] - values[below])
        shared = {"signed": scale.signed, "low": scale.low, "high": scale.high}
        pictures.append(overlay(as_pixels(volume[number]), plane, opacity, colours=colours, **shared))
    return np.concatenate(pictures, axis=1)
