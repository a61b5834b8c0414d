"""Determines the range of a data set's images with more than 8 bits, once for all of them."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from cv_attention.data.decoding.decode import MAX_BYTES, ImageError, may_be_deep, read_deep

_LOOKED_AT = 1024  # images whose first bytes are read
_MEASURED = 128  # images that may have more than 8 bits whose values are examined
_USUAL = (8, 10, 12, 14, 16)  # bit depths of cameras, scanners and microscopes
_HEAD = 32

# Reads at most this many bytes of an image: (index, bytes) -> its content.
Content = Callable[[int, int], bytes]


def found_bits(count: int, content: Content) -> int | None:
    """Determines the bit depth of a training split's images with more than 8 bits, from an evenly spread sample.

    A file whose header allows fewer than 16 bits, such as a 12-bit TIFF, declares its range. For other files the
    largest value of the sample decides, rounded up to 8, 10, 12, 14 or 16 bits. The sBIT chunk of a PNG is used if the
    values fit; in files that follow the standard, values are scaled up to 16 bits and do not fit.

    Args:
        count: Number of images.
        content: Reads the beginning of an image.

    Returns:
        The number of bits, or None if no image of the sample has more than 8.
    """
    with ThreadPoolExecutor(4) as pool:
        looked_at = _spread(count, _LOOKED_AT)
        deep = [
            index for index, may in zip(looked_at, pool.map(lambda i: _may(content, i), looked_at), strict=True) if may
        ]
        chosen = [deep[place] for place in _spread(len(deep), _MEASURED)]
        return max((bits for bits in pool.map(lambda i: _bits(content, i), chosen) if bits), default=None)


def describe(bits: int) -> str:
    """Describes the range of a data set in one line."""
    return f"images of more than 8 bits: 0 is black and {2**bits - 1:,} white (data.bits {bits})"


def _may(content: Content, index: int) -> bool:
    try:
        return may_be_deep(content(index, _HEAD))
    except (ImageError, OSError):  # reported where the image is used
        return False


def _bits(content: Content, index: int) -> int | None:
    """Returns the bits an image needs; None if at most 8, or if it is broken, which is reported where it is used."""
    try:
        image = read_deep(content(index, MAX_BYTES), str(index))
    except (ImageError, OSError):
        return None
    if image is None:
        return None
    if image.white < 0xFFFF:
        return image.white.bit_length()
    needed = int(image.colours.max()).bit_length()
    if image.significant is not None and needed <= image.significant:
        return max(image.significant, 8)
    return next((bits for bits in _USUAL if bits >= needed), 16)


def _spread(count: int, most: int) -> list[int]:
    """Returns at most `most` of the integers below `count`, evenly spread."""
    return sorted({int(place) for place in np.linspace(0, count - 1, most)}) if count > most else list(range(count))
