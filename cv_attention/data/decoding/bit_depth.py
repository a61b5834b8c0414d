"""The range of a data set's images of more than 8 bits, found once for all of them."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from cv_attention.data.decoding.decode import MAX_BYTES, ImageError, may_be_deep, read_deep

_LOOKED_AT = 1024  # images whose first bytes are read
_MEASURED = 128  # of those that may have more than 8 bits, whose values are looked at
_USUAL = (8, 10, 12, 14, 16)  # bits of cameras, scanners and microscopes
_HEAD = 32

# Reads at most so many bytes of one image: (index, bytes) -> its content.
Content = Callable[[int, int], bytes]


def found_bits(count: int, content: Content) -> int | None:
    """Finds the range of a training split's images of more than 8 bits, by a sample spread evenly over it.

    A file whose header allows fewer than 16 bits, as that of a 12-bit TIFF does, states its range itself. In the others
    the largest value of the sample decides, rounded up to 8, 10, 12, 14 or 16 bits. What a PNG's sBIT chunk says is
    taken where the values fit into it; written by the standard, they are scaled up to 16 bits and do not.

    Args:
        count: Number of images.
        content: Reads the beginning of one of them.

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
    """Says in one line what the range of a data set is."""
    return f"images of more than 8 bits: 0 is black and {2**bits - 1:,} white (data.bits {bits})"


def _may(content: Content, index: int) -> bool:
    try:
        return may_be_deep(content(index, _HEAD))
    except (ImageError, OSError):  # it is named where it is used
        return False


def _bits(content: Content, index: int) -> int | None:
    """The bits that one image needs; None where it has at most 8, or is broken, which is said where it is used."""
    try:
        found = read_deep(content(index, MAX_BYTES), str(index))
    except (ImageError, OSError):
        return None
    if found is None:
        return None
    if found.white < 0xFFFF:
        return found.white.bit_length()
    needed = int(found.colours.max()).bit_length()
    if found.significant is not None and needed <= found.significant:
        return max(found.significant, 8)
    return next((bits for bits in _USUAL if bits >= needed), 16)


def _spread(count: int, most: int) -> list[int]:
    """At most `most` of the numbers below `count`, evenly spread."""
    return sorted({int(place) for place in np.linspace(0, count - 1, most)}) if count > most else list(range(count))
