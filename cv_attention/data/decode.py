"""Any image in the wild -> uint8 (H, W, 3) RGB.

Plain 8-bit JPEG and PNG, nearly all images there are, go to OpenCV, which is a third faster; every other kind
goes to Pillow, which knows them all. What has no obvious RGB value is decided here:

- transparency (RGBA, grey with alpha, palette with a transparent colour) is laid over white, as browsers show
  it;
- 16-bit images keep their high byte;
- EXIF rotation is applied, so that the image stands as it was meant to be seen;
- of animations and multi-page files the first frame counts.
"""

import os
from io import BytesIO

import cv2
import numpy as np
from PIL import Image, ImageOps

# OpenCV's own threads fight with the loader's processes and with torch (330 k -> 4 k images/s measured).
cv2.setNumThreads(0)

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_GREY, _PNG_RGB = 0, 2


class ImageError(ValueError):
    """A file that cannot be used as an image; the message is one line that names it."""


def read_image(path: str | os.PathLike[str]) -> np.ndarray:
    """Decodes an image file of any kind; the content decides, not the extension.

    Returns:
        uint8 array (H, W, 3), RGB, upright.

    Raises:
        FileNotFoundError: if there is no such file.
        ImageError: if the file is no image, or is truncated or damaged; names the path.
    """
    with open(path, "rb") as file:
        return decode_image(file.read(), os.fspath(path))


def decode_image(data: bytes, name: str) -> np.ndarray:
    """Decodes the content of an image file; `name` is for messages. Returns and raises as `read_image`."""
    if _is_plain(data):
        pixels = _decode_plain(data)
        if pixels is not None:
            return pixels
    # What OpenCV refused is tried again: Pillow then says what is wrong with it.
    try:
        with Image.open(BytesIO(data)) as image:
            return np.array(_to_rgb(ImageOps.exif_transpose(image)))
    except Image.UnidentifiedImageError:
        raise ImageError(f"'{name}' is no image ({len(data)} bytes of unknown kind)") from None
    except (
        OSError,
        SyntaxError,
        ValueError,
        EOFError,
        IndexError,
        TypeError,
    ) as error:  # all raised by Pillow
        raise ImageError(f"'{name}' cannot be decoded: {error}") from error


def _decode_plain(data: bytes) -> np.ndarray | None:
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    except cv2.error:
        return None


def _is_plain(data: bytes) -> bool:
    """Whether this is a whole 8-bit grey or RGB JPEG or PNG with nothing in it that OpenCV would drop."""
    if data.startswith(b"\xff\xd8"):
        # A file cut short has no end-of-image marker; OpenCV would fill it with grey and say nothing.
        return data.rstrip(b"\0").endswith(b"\xff\xd9") and _jpeg_channels(data) in (1, 3)
    if data.startswith(_PNG) and len(data) > 26:
        depth, colour = data[24], data[25]
        extras = any(chunk in data for chunk in (b"tRNS", b"eXIf"))  # a chance hit in pixels only costs time
        return depth == 8 and colour in (_PNG_GREY, _PNG_RGB) and b"IEND" in data[-12:] and not extras
    return False


def _jpeg_channels(data: bytes) -> int:
    """Number of colour components in a JPEG's frame header (4 is CMYK); 0 where there is none."""
    at = 2
    while at + 9 < len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # padding
            at += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return data[at + 9] if data[at + 4] == 8 else 0
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return 0


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        return _from_integers(np.asarray(image).astype(np.int64))
    if image.mode == "F":
        raise ValueError("floating-point pixels have no fixed range; convert the file to 8 bits")
    if image.mode in ("LA", "PA", "La", "RGBa", "RGBA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def _from_integers(values: np.ndarray) -> Image.Image:
    low, high = values.min(), values.max()
    if low < 0 or high > 0xFFFF:
        raise ValueError(f"integer pixels from {low} to {high} do not fit 16 bits; convert the file to 8 bits")
    return Image.fromarray((values >> 8).astype(np.uint8)).convert("RGB")
