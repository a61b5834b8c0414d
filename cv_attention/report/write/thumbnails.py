"""Encodes probe images for the page: pixels alone, as data URLs.

A page opened from ``file://`` may not read the pixels of image files, so it could not export pictures of itself.
Pixels that come in a script are not restricted.
"""

import base64
import io
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from cv_attention.report.read.recording import UNREADABLE

_LARGEST_SIDE = 512
_LOSSLESS_SIDE = 128  # small images are shown enlarged, where JPEG artefacts would be visible


@dataclass(frozen=True)
class Thumbnail:
    """Holds an image for the page.

    Attributes:
        url: The pixels, as a ``data:`` URL.
        size: Width and height of the original in pixels.
    """

    url: str
    size: tuple[int, int]


def thumbnail(path: Path | None) -> Thumbnail | None:
    """Reads an image and encodes its pixels again, so that no metadata comes along.

    Returns:
        A PNG up to 128 pixels wide and high, above that a JPEG of at most 512; None if the image is missing or broken.
    """
    if path is None:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as opened:
                image = opened.convert("RGB")
    except (*UNREADABLE, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return None
    size = image.size
    image.thumbnail((_LARGEST_SIDE, _LARGEST_SIDE))
    return Thumbnail(_encoded(image), size)


def as_url(pixels: np.ndarray) -> str:
    """Encodes pixels, uint8 (H, W, 3), as a ``data:`` URL."""
    return _encoded(Image.fromarray(np.ascontiguousarray(pixels, np.uint8)))


def small(pixels: np.ndarray) -> str:
    """Encodes pixels, uint8 (H, W, 3), as a PNG of at most 128 pixels wide and high."""
    image = Image.fromarray(np.ascontiguousarray(pixels, np.uint8))
    image.thumbnail((_LOSSLESS_SIDE, _LOSSLESS_SIDE))
    return _encoded(image)


def _encoded(image: Image.Image) -> str:
    kind = "png" if max(image.size) <= _LOSSLESS_SIDE else "jpeg"
    buffer = io.BytesIO()
    image.save(buffer, kind, **({"quality": 88} if kind == "jpeg" else {}))
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
