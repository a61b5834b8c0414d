"""Draws heatmaps over images: scaling to [0, 1], colour and blending."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

# Every fifth of 256 colours, RGB in hex; the rest is interpolated (within 1.2 of 255). Both tables are by Nathaniel
# Smith and Stefan van der Walt for matplotlib, CC0: equal steps in value look equal, in grey and to the colour-blind.
_ANCHORS = {
    "inferno": (
        "00000402020c0504170a072210092d160b391e0c45260c512f0a5b380962400a67490b6a510e6c59106e61136e69166e"
        "71196e781c6d801f6c88226a902568982766a02a63a82e5fb0315bb73557bf3952c63d4dcc4248d34743d94d3ddf5337"
        "e45a31e9612bed6925f1711ff47918f78212f98b0bfa9407fb9d07fca60cfcb014fbba1ffac42af8cd37f6d746f4e156"
        "f2ea69f2f27df5f992fcffa4"
    ),
    "viridis": (
        "44015446085c471063481769481d6f482475472a7a46307e453781433d844142873f48893d4e8a3a538b38598c355e8d"
        "33638d31688e2e6d8e2c718e2a768e297b8e27808e25848e23898e218e8d20928c1f978b1e9c891fa18821a58524aa83"
        "28ae802eb37c35b7793dbc7446c06f50c46a5ac86465cb5e70cf577cd25089d54895d840a2da37b0dd2fbddf26cae11f"
        "d8e219e5e419f1e51dfde725"
    ),
}


def _table(anchors: str) -> NDArray[np.uint8]:
    colours = np.frombuffer(bytes.fromhex(anchors), np.uint8).reshape(-1, 3)
    steps = [np.interp(np.arange(256), np.arange(0, 256, 5), colours[:, channel]) for channel in range(3)]
    return np.stack(steps, axis=1).round().astype(np.uint8)


COLOURS: dict[str, NDArray[np.uint8]] = {name: _table(anchors) for name, anchors in _ANCHORS.items()}


def normalise(heat: ArrayLike, low: float | None = None, high: float | None = None) -> NDArray[np.float32]:
    """Scales heatmaps from their range to [0, 1], each by itself.

    The range is the map's own minimum and maximum among its finite values, whatever their sign: the lowest value
    becomes 0, the highest 1. NaN and -inf become 0, inf 1. A map that is constant (a range below one millionth of its
    largest magnitude, which is rounding) has nothing to show and becomes 0 everywhere.

    Args:
        heat: (..., h, w) raw values.
        low: What becomes 0, to share one scale among several maps; lower values are clipped.
        high: What becomes 1; higher values are clipped.

    Returns:
        (..., h, w) float32.
    """
    values = np.asarray(heat, np.float32)
    if values.ndim < 2 or values.size == 0:
        raise ValueError(f"heat must be (..., h, w), got shape {values.shape}")
    finite = np.isfinite(values)
    lowest = np.min(values, axis=(-2, -1), keepdims=True, where=finite, initial=np.inf)
    highest = np.max(values, axis=(-2, -1), keepdims=True, where=finite, initial=-np.inf)
    empty = lowest > highest  # no finite value at all
    bottom = np.where(empty, 0, lowest) if low is None else np.full_like(lowest, low)
    top = np.where(empty, 0, highest) if high is None else np.full_like(highest, high)
    span = top - bottom
    constant = span <= 1e-6 * np.maximum(np.abs(bottom), np.abs(top))
    values = np.nan_to_num(values, nan=-np.inf, posinf=np.inf, neginf=-np.inf)
    values = np.clip(values, bottom, top)
    return np.where(constant, np.float32(0), (values - bottom) / np.where(constant, np.float32(1), span))


def colourise(heat: ArrayLike, colours: str = "inferno") -> NDArray[np.uint8]:
    """Colours a heatmap (h, w) with values in [0, 1], which is what `normalise` gives; returns (h, w, 3) uint8."""
    return np.array(_coloured(np.asarray(heat, np.float32), colours))


def overlay(
    image: NDArray[np.uint8] | Image.Image,
    heat: ArrayLike,
    opacity: float = 0.5,
    *,
    colours: str = "inferno",
    low: float | None = None,
    high: float | None = None,
) -> NDArray[np.uint8]:
    """Draws a raw heatmap over its image: normalised, resized to the image (bilinear), coloured, blended.

    Args:
        image: (H, W, 3) uint8 RGB, or a picture opened by Pillow.
        heat: (h, w) raw values of any size and range, see `normalise`; or one image's (1, 1, h, w), such as a tensor
            that `to_heatmap` or a saliency method gave.
        opacity: Share of the heatmap, in [0, 1].
        colours: ``inferno`` or ``viridis``.
        low: Value of the heatmap that gets the lowest colour, to share one scale among several maps; None takes the
            heatmap's minimum.
        high: Value that gets the highest colour; None takes the heatmap's maximum.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ValueError: if `image`, `heat`, `opacity` or `colours` is none of that.

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
    """
    if isinstance(image, Image.Image):
        image = np.asarray(image.convert("RGB"))
    if hasattr(heat, "detach"):  # a tensor; this package does without torch
        heat = heat.detach().float().cpu()  # pyright: ignore[reportAttributeAccessIssue]
    heat = np.asarray(heat, np.float32)
    if heat.ndim > 2 and heat.shape[:-2] == (1,) * (heat.ndim - 2):
        heat = heat.reshape(heat.shape[-2:])
    if not isinstance(image, np.ndarray):
        raise ValueError(f"image must be (H, W, 3) uint8 or a picture of Pillow's, got a {type(image).__name__}")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"image must be (H, W, 3) uint8, got {image.shape} {image.dtype}")
    if heat.ndim != 2:
        raise ValueError(f"heat must be (h, w), one image's, got shape {heat.shape}")
    if not 0 <= opacity <= 1:
        raise ValueError(f"opacity must be in [0, 1], got {opacity}")
    scaled = Image.fromarray(normalise(heat, low, high))
    size = (image.shape[1], image.shape[0])
    if scaled.size != size:
        scaled = scaled.resize(size, Image.Resampling.BILINEAR)
    coloured = _coloured(np.asarray(scaled), colours)
    return np.array(Image.blend(Image.fromarray(image), coloured, opacity))


def overlay_slices(
    volume: NDArray[np.uint8],
    heat: ArrayLike,
    opacity: float = 0.5,
    *,
    slices: Sequence[int] | None = None,
    colours: str = "inferno",
) -> NDArray[np.uint8]:
    """Draws a heatmap over slices of a volume, or frames of a video, side by side and on one scale.

    Args:
        volume: (D, H, W) uint8 in grey, or (D, H, W, 3) RGB.
        heat: (d, h, w) raw values of any size and range; or one volume's (1, 1, d, h, w), such as a saliency method
            returns. Along the depth it is interpolated linearly.
        opacity: Share of the heatmap, in [0, 1].
        slices: Which slices; None takes eight at equal distances, or all if there are fewer.
        colours: ``inferno`` or ``viridis``.

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
    if hasattr(heat, "detach"):
        heat = heat.detach().float().cpu()  # pyright: ignore[reportAttributeAccessIssue]
    heat = np.asarray(heat, np.float32)
    if heat.ndim > 3 and heat.shape[:-3] == (1,) * (heat.ndim - 3):
        heat = heat.reshape(heat.shape[-3:])
    if heat.ndim != 3:
        raise ValueError(f"heat must be (d, h, w), one volume's, got shape {heat.shape}")
    if not isinstance(volume, np.ndarray) or volume.dtype != np.uint8 or volume.shape[3:] not in ((), (3,)):
        got = f"{volume.shape} {volume.dtype}" if isinstance(volume, np.ndarray) else type(volume).__name__
        raise ValueError(f"volume must be (D, H, W) or (D, H, W, 3) uint8, got {got}")
    depth = len(volume)
    chosen = np.unique(np.linspace(0, depth - 1, 8).round().astype(int)) if slices is None else slices
    if not len(chosen) or not all(0 <= number < depth for number in chosen):
        raise ValueError(f"slices must be numbers in 0..{depth - 1}, got {list(chosen)}")
    finite = heat[np.isfinite(heat)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    pictures = []
    for number in chosen:
        place = min(max((number + 0.5) * len(heat) / depth - 0.5, 0.0), len(heat) - 1.0)
        below = int(place)
        above = min(below + 1, len(heat) - 1)
        plane = heat[below] + (place - below) * (heat[above] - heat[below])
        image = volume[number] if volume.ndim == 4 else np.repeat(volume[number][..., None], 3, axis=2)
        pictures.append(overlay(image, plane, opacity, colours=colours, low=low, high=high))
    return np.concatenate(pictures, axis=1)


def _coloured(heat: NDArray[np.float32], colours: str) -> Image.Image:
    """Returns the heatmap (h, w) in [0, 1] as an RGB image, looked up in the table of 256 colours."""
    if colours not in COLOURS:
        raise ValueError(f"colours must be one of {', '.join(COLOURS)}, got {colours!r}")
    if heat.ndim != 2:
        raise ValueError(f"heat must be (h, w), got shape {heat.shape}")
    levels = Image.fromarray((heat * 255 + 0.5).astype(np.uint8))
    levels.putpalette(COLOURS[colours].tobytes())
    return levels.convert("RGB")
