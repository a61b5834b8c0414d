"""Colours heatmaps and blends them over their images."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from cv_attention.drawing.colours import COLOURS, table_for
from cv_attention.drawing.framing import enlarged, framed
from cv_attention.drawing.pixels import as_heat, as_pixels
from cv_attention.drawing.scaling import Limits, limits_of, positions

_BEYOND = 16  # times the image's sides: as far as padding may reach


def colourise(heat: ArrayLike, colours: str = "inferno") -> NDArray[np.uint8]:
    """Colours a heatmap (h, w) with values in [0, 1], which is what `normalise` gives.

    Args:
        heat: (h, w) values in [0, 1].
        colours: Name of a table in `COLOURS`.

    Returns:
        (h, w, 3) uint8.

    Raises:
        ValueError: if there is no such table, or `heat` is not (h, w).

    Examples:
        >>> from cv_attention.drawing import colourise
        >>> colourise([[0.0, 1.0]], "viridis")[0].tolist()
        [[68, 1, 84], [253, 231, 37]]
    """
    table, values = COLOURS[table_for(False, colours)], np.asarray(heat, np.float32)
    if values.ndim != 2:
        raise ValueError(f"heat must be (h, w), got shape {values.shape}")
    return table[(values * 255 + 0.5).astype(np.uint8)]


def overlay(
    image: NDArray[np.uint8] | Image.Image,
    heat: ArrayLike,
    opacity: float = 0.5,
    *,
    colours: str | None = None,
    signed: bool | None = None,
    clip: float = 100,
    low: float | None = None,
    high: float | None = None,
    region: tuple[float, float, float, float] | None = None,
    title: str | None = None,
    bar: bool = False,
) -> NDArray[np.uint8]:
    """Draws a raw heatmap over its image, at the size of the image.

    The heatmap is resized to the image (bilinear), scaled, coloured and blended. Heatmaps with negative values get a
    table with white at zero, all others one from dark to bright. Where a value is not a number, the image stays as it
    is.

    Args:
        image: (H, W, 3) uint8 RGB, (H, W) uint8 grey, or a picture opened by Pillow; the photograph in its original
            size, or what the network saw of it.
        heat: (h, w) raw values of any size and range; or one image's (1, 1, h, w), such as a tensor that `to_heatmap`
            or a saliency method gave.
        opacity: Share of the heatmap, in [0, 1].
        colours: ``inferno``, ``viridis``, ``magma``, ``cividis``, ``grey``, or, for signed heatmaps, ``blue-red`` or
            ``purple-green``; None takes ``inferno``, or ``blue-red`` where the scale is signed.
        signed: Whether zero is in the middle of the table; None takes it from the values, see `drawing.limits_of`.
        clip: Share of the values within the scale, in percent: 99 keeps a few outliers, as gradients have them, from
            making everything else dark.
        low: Value of the heatmap that gets the lowest colour, to share one scale among several maps; None takes the
            heatmap's minimum. The scale of a signed heatmap is symmetric, whatever is given.
        high: Value that gets the highest colour; None takes the heatmap's maximum.
        region: What the heatmap shows of the image, as (x0, y0, x1, y1) in fractions of its sides, such as the crop
            that the network saw; beyond 0 and 1 where it saw padding. None for all of it.
        title: A line above the picture. Small images are then enlarged, so that it can be read.
        bar: Whether a colour bar with its ends is drawn below the picture.

    Returns:
        (H, W, 3) uint8 RGB; larger with a title or a bar.

    Raises:
        ValueError: if `image`, `heat` or another argument is none of that.

    Examples:
        >>> import numpy as np
        >>> import torch
        >>> import cv_attention as cva
        >>> photograph = np.full((224, 224, 3), 128, np.uint8)
        >>> heat = torch.arange(49.0).view(1, 1, 7, 7)  # such as a saliency method returns
        >>> picture = cva.overlay(photograph, heat, opacity=0.5)
        >>> picture.shape, picture.dtype
        ((224, 224, 3), dtype('uint8'))
        >>> picture[0, 0], picture[-1, -1]  # the darkest and the brightest colour of inferno, half over grey
        (array([64, 64, 66], dtype=uint8), array([190, 191, 146], dtype=uint8))
        >>> cva.overlay(photograph, heat - 24, opacity=1)[112, 112]  # a signed map: zero, in the centre, is white
        array([245, 244, 244], dtype=uint8)
    """
    pixels, values = as_pixels(image), as_heat(heat)
    if not 0 <= opacity <= 1:
        raise ValueError(f"opacity must be in [0, 1], got {opacity}")
    limits = limits_of(values, signed=signed, clip=clip, low=low, high=high)
    table = table_for(limits.signed, colours)
    if title is not None or bar:
        pixels = enlarged(pixels)
    picture = _blended(pixels, values, limits, table, opacity, _part(pixels, region))
    if title is None and not bar:
        return picture
    return framed(picture, title, limits if bar else None, table)


Box = tuple[int, int, int, int]


def _blended(
    image: NDArray[np.uint8], heat: NDArray[np.float32], limits: Limits, table: str, opacity: float, place: Box
) -> NDArray[np.uint8]:
    """Blends a heatmap that fills `place`, left, top, right and bottom in pixels, some of them beyond the image."""
    left, top, right, bottom = place
    size, height, width = (right - left, bottom - top), *image.shape[:2]
    inside = (slice(max(top, 0), min(bottom, height)), slice(max(left, 0), min(right, width)))
    seen = (slice(max(-top, 0), height - top), slice(max(-left, 0), width - left))
    missing = np.isnan(heat)
    scaled = Image.fromarray(np.clip(np.where(missing, np.float32(0), heat), *_extremes(heat, limits)))
    if scaled.size != size:
        scaled = scaled.resize(size, Image.Resampling.BILINEAR)
    levels = Image.fromarray((positions(np.asarray(scaled)[seen], limits) * 255 + 0.5).astype(np.uint8))
    levels.putpalette(COLOURS[table].tobytes())
    part = np.ascontiguousarray(image[inside])
    blended = np.array(Image.blend(Image.fromarray(part), levels.convert("RGB"), opacity))
    if missing.any():
        hidden = np.asarray(Image.fromarray(missing).convert("L").resize(size, Image.Resampling.NEAREST))[seen] > 0
        blended[hidden] = part[hidden]
    picture = np.array(image)
    picture[inside] = blended
    return picture


def _extremes(heat: NDArray[np.float32], limits: Limits) -> tuple[float, float]:
    """The finite range of the values and the limits, in which infinite values are drawn."""
    finite = heat[np.isfinite(heat)]
    lowest, highest = (float(finite.min()), float(finite.max())) if finite.size else (limits.low, limits.high)
    return min(lowest, limits.low), max(highest, limits.high)


def _part(image: NDArray[np.uint8], region: tuple[float, float, float, float] | None) -> Box:
    """What a heatmap fills, in pixels of the image."""
    height, width = image.shape[:2]
    if region is None:
        return 0, 0, width, height
    x0, y0, x1, y1 = (float(side) for side in region)
    if not (-_BEYOND <= x0 < min(x1, 1) and -_BEYOND <= y0 < min(y1, 1) and 0 < x1 <= _BEYOND and 0 < y1 <= _BEYOND):
        raise ValueError(
            f"region must be (x0, y0, x1, y1) in fractions of the image's sides, with x0 < x1 and y0 < y1, got {region}"
        )
    left, top = min(round(x0 * width), width - 1), min(round(y0 * height), height - 1)
    return left, top, max(round(x1 * width), left + 1, 1), max(round(y1 * height), top + 1, 1)
