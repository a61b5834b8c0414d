"""Reads pixels of more than 8 bits as a file stores them, and converts them for display.

Pillow keeps only the high byte of 16-bit colour, and scales some formats while reading; OpenCV keeps the values but
accepts damaged files. So Pillow decodes each file once, to check that it is intact, and OpenCV reads the values.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from PIL import Image

_BITS_PER_SAMPLE, _PHOTOMETRIC, _PLANAR, _EXTRA, _SAMPLE_FORMAT = 258, 262, 284, 338, 339
_WHITE_IS_ZERO, _RGB = 0, 2
_PREMULTIPLIED = 1
_SIGNED, _FLOATING = 2, 3
_ROWS = 256  # that are converted at once: a large image is held once, not three times


@dataclass(frozen=True)
class Deep:
    """Holds integer pixels of more than 8 bits.

    Attributes:
        values: (H, W), or (H, W, 3) RGB, or (H, W, 4) with alpha.
        white: The largest value that the file's header allows.
        transparent: The grey value that is transparent, if any.
        premultiplied: Whether colours are already multiplied by alpha.
        significant: Significant bits declared by a PNG (its sBIT chunk); None if not declared.
    """

    values: np.ndarray
    white: int
    transparent: int | None = None
    premultiplied: bool = False
    significant: int | None = None

    @property
    def colours(self) -> np.ndarray:
        """Returns the values without alpha."""
        return self.values[..., :3] if self.values.ndim == 3 else self.values

    def to_rgb(self, bits: int | None) -> np.ndarray:
        """Scales the values to uint8 (H, W, 3), transparency over white.

        Args:
            bits: Bit depth of the values, range 0 to 2 ** bits - 1, if the file's header allows more; None uses the
                range of the header.

        Raises:
            ValueError: if a value is out of range.
        """
        white = self.white if bits is None else min(self.white, 2**bits - 1)
        colours = self.colours
        low, high = int(colours.min()), int(colours.max())
        if low < 0 or high > white:
            raise ValueError(_out_of_range(low, high, white, bits))
        out = np.empty((*self.values.shape[:2], 3), np.uint8)
        for start in range(0, len(out), _ROWS):
            rows = slice(start, start + _ROWS)
            part = (colours[rows].astype(np.uint32) * 256 // (white + 1)).astype(np.uint8)
            part = part if part.ndim == 3 else np.repeat(part[..., None], 3, 2)
            out[rows] = self._over_white(part, self.values[rows])
        return out

    def _over_white(self, pixels: np.ndarray, values: np.ndarray) -> np.ndarray:
        if self.transparent is not None and values.ndim == 2:
            return np.where((values == self.transparent)[..., None], np.uint8(255), pixels)
        if values.ndim == 2 or values.shape[2] == 3:
            return pixels
        alpha = values[..., 3:].astype(np.float32) / self.white
        premultiplied = pixels if self.premultiplied else pixels * alpha
        return np.rint(np.minimum(premultiplied + 255 * (1 - alpha), 255)).astype(np.uint8)


def white_of(image: Image.Image, data: bytes) -> int | None:
    """Returns the largest value that the header of an opened file allows if it is above 255, else None.

    Raises:
        ValueError: if the pixels are signed bytes or floating-point, which have no fixed range.
    """
    bits = 8
    if image.format == "PNG":
        bits = data[24]
    elif image.format == "TIFF":
        bits = _tiff_bits(image)
    elif image.format == "PPM":
        arguments: Any = image.tile[0].args  # pyright: ignore[reportAttributeAccessIssue]
        arguments = (arguments,) if isinstance(arguments, str) else arguments
        numbers = [value for value in arguments if isinstance(value, int)]
        white = max(numbers, default=0xFFFF if image.mode.startswith("I") else 0xFF)
        return white if white > 0xFF else None
    elif image.format == "JPEG2000":
        bits = _jpeg2000_bits(data)
    return 2**bits - 1 if bits > 8 else None


def read(image: Image.Image, data: bytes, white: int) -> Deep:
    """Reads the values of a file whose header allows `white` as the largest one.

    Args:
        image: The file, opened by Pillow.
        data: Its content.
        white: What `white_of` returned.

    Raises:
        ValueError: if the file's layout cannot be read without losing bits.
        OSError: if it is damaged, or whatever else Pillow raises.
    """
    grey = image.mode.startswith("I")
    tiff = image.format == "TIFF"
    if tiff and not grey:
        _check_colour(image)
    image.load()  # raises if the file is damaged
    if grey and image.format in ("PNG", "TIFF"):
        values = np.asarray(image)
        if tiff and image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:  # pyright: ignore[reportAttributeAccessIssue]
            values = white - values
        white = min(white, 0xFFFF)
        transparent = image.info.get("transparency")
        return Deep(values, white, transparent, significant=_significant(data) if not tiff else None)
    premultiplied = tiff and _tag(image, _EXTRA, 0) == _PREMULTIPLIED
    opaque = tiff and _tag(image, _EXTRA, 0) == 0
    image.im = None  # pyright: ignore[reportAttributeAccessIssue]  # frees its memory before reading the file again
    values = _values(data)
    if values.ndim == 3:
        values = values[..., 2::-1] if opaque or values.shape[2] == 3 else values[..., [2, 1, 0, 3]]
    return Deep(values, white, premultiplied=premultiplied, significant=_significant(data))


def _values(data: bytes) -> np.ndarray:
    try:
        values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise ValueError(f"more than 8 bits that OpenCV cannot read ({error.err})") from error
    if values is None or values.dtype != np.uint16 or (values.ndim == 3 and values.shape[2] not in (3, 4)):
        raise ValueError("more than 8 bits in a layout that cannot be read; convert the file to 8-bit or 16-bit PNG")
    return values


def _tiff_bits(image: Image.Image) -> int:
    bits, kind = _tag(image, _BITS_PER_SAMPLE, 1), _tag(image, _SAMPLE_FORMAT, 1)
    if kind == _FLOATING or image.mode == "F":
        raise ValueError("floating-point pixels have no fixed range; convert the file to 8 bits")
    if kind == _SIGNED and bits <= 8:
        raise ValueError("signed bytes have no fixed range; convert the file to unsigned ones")
    return bits


def _check_colour(image: Image.Image) -> None:
    if _tag(image, _PHOTOMETRIC, _RGB) != _RGB or _tag(image, _PLANAR, 1) != 1:
        raise ValueError(
            f"{image.mode} of more than 8 bits, or in separate planes, cannot be read; convert the file to 16-bit RGB"
        )


def _tag(image: Image.Image, number: int, default: int) -> int:
    """Returns the largest value of a TIFF tag."""
    value = image.tag_v2.get(number, default)  # pyright: ignore[reportAttributeAccessIssue]
    return max(value, default=default) if isinstance(value, tuple) else value


def _jpeg2000_bits(data: bytes) -> int:
    """Returns the precision of a codestream's components, from its SIZ marker."""
    marker = data.find(b"\xff\x4f\xff\x51")
    if marker < 0 or len(data) < marker + 43:
        return 8
    components = data[marker + 42 : marker + 42 + 3 * int.from_bytes(data[marker + 40 : marker + 42], "big") : 3]
    if any(component & 0x80 for component in components):
        raise ValueError("signed components have no fixed range; convert the file to unsigned ones")
    return max((component & 0x7F) + 1 for component in components)


def _significant(data: bytes) -> int | None:
    """Returns the significant bits from a PNG's sBIT chunk, which precedes the pixels."""
    chunk = data.find(b"sBIT", 0, max(data.find(b"IDAT"), 0))
    if chunk < 0:
        return None
    return max(data[chunk + 4 : chunk + 4 + int.from_bytes(data[chunk - 4 : chunk], "big")], default=None)


def _out_of_range(low: int, high: int, white: int, bits: int | None) -> str:
    if low < 0:
        return f"integer pixels from {low} to {high}: negative ones have no fixed range; convert the file to 8 bits"
    if high > 0xFFFF:
        return f"integer pixels from {low} to {high} do not fit 16 bits; convert the file to 8 bits"
    allowed = f"the {white} that data.bits {bits} allows" if bits else f"the {white} that the file's header allows"
    return f"pixels up to {high}, above {allowed}; data.bits {high.bit_length()} or more takes them"
