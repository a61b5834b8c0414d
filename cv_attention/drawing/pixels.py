"""Takes images and heatmaps in the forms people have them: arrays, tensors, Pillow's pictures."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_DEEP = ("I", "I;16", "I;16B", "I;16L", "I;16N", "F")  # Pillow's modes that hold more than 8 bits


def as_pixels(image: Any) -> NDArray[np.uint8]:
    """Returns an image as uint8 (H, W, 3) RGB.

    Args:
        image: (H, W, 3) uint8 RGB; (H, W) uint8 grey; or a picture opened by Pillow. One with more than 8 bits (modes
            ``I;16``, ``I`` and ``F``) is stretched from its smallest to its largest value, since nothing says what
            white is; transparent pixels become white.

    Returns:
        The pixels; an array is returned as it is.

    Raises:
        ValueError: if it is none of that.

    Examples:
        >>> import numpy as np
        >>> from PIL import Image
        >>> from cv_attention.drawing import as_pixels
        >>> scan = Image.fromarray(np.array([[0, 4095]], np.uint16))  # 12 bits
        >>> as_pixels(scan)[0].tolist()
        [[0, 0, 0], [255, 255, 255]]
    """
    if isinstance(image, Image.Image):
        if image.mode in _DEEP:
            return np.repeat(_stretched(np.asarray(image))[..., None], 3, axis=2)
        if image.has_transparency_data:
            opaque = Image.new("RGBA", image.size, "white")
            opaque.alpha_composite(image.convert("RGBA"))
            image = opaque
        return np.asarray(image.convert("RGB"))
    if not isinstance(image, np.ndarray):
        raise ValueError(f"image must be (H, W, 3) uint8 or a picture of Pillow's, got a {type(image).__name__}")
    if image.dtype == np.uint8 and image.ndim == 2 and image.size:
        return np.repeat(image[..., None], 3, axis=2)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ValueError(f"image must be (H, W, 3) uint8, got {image.shape} {image.dtype}")
    return image


def as_heat(heat: Any, dimensions: int = 2) -> NDArray[np.float32]:
    """Returns one image's heatmap as float32 (h, w), or one volume's as (d, h, w).

    Args:
        heat: An array or a tensor of any size, on any device; leading axes of length one are dropped.
        dimensions: 2 for an image, 3 for a volume.

    Returns:
        The values.

    Raises:
        ValueError: if it is not one heatmap.

    Examples:
        >>> import torch
        >>> from cv_attention.drawing import as_heat
        >>> as_heat(torch.zeros(1, 1, 7, 7)).shape
        (7, 7)
    """
    if hasattr(heat, "kind") and hasattr(heat, "values"):
        raise ValueError(
            f"heat must be a heatmap, got a {type(heat).__name__}; cv_attention.to_heatmap(map)[:1] is one"
        )
    if hasattr(heat, "detach"):  # a tensor; this package does without torch
        heat = heat.detach().float().cpu()
    try:
        values = np.asarray(heat, np.float32)
    except (TypeError, ValueError):
        raise ValueError(f"heat must be numbers, an array or a tensor, got a {type(heat).__name__}") from None
    if values.ndim > dimensions and values.shape[:-dimensions] == (1,) * (values.ndim - dimensions):
        values = values.reshape(values.shape[-dimensions:])
    if values.ndim != dimensions or not values.size:
        form, what = ("(h, w)", "image") if dimensions == 2 else ("(d, h, w)", "volume")
        raise ValueError(f"heat must be {form}, one {what}'s, got shape {values.shape}")
    return values


def _stretched(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Scales grey values of any range to 0..255; those that are not finite become black."""
    numbers = values.astype(np.float64)
    finite = np.isfinite(numbers)
    low, high = (numbers[finite].min(), numbers[finite].max()) if finite.any() else (0.0, 0.0)
    scaled = (np.where(finite, numbers, low) - low) * (255 / (high - low) if high > low else 0)
    return np.rint(scaled).astype(np.uint8)
