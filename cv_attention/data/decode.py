"""Any image in the wild -> uint8 (H, W, 3) RGB.

Plain 8-bit JPEG and PNG, nearly all images there are, go to OpenCV, which is a third faster; every other kind
goes to Pillow, which knows them all. What has no obvious RGB value is decided here:

- transparency (RGBA, grey with alpha, palette with a transparent colour) is laid over white, as browsers show
  it;
- 16-bit images keep their high byte;
- EXIF rotation is applied, so that the image stands as it was meant to be seen;
- of animations and multi-page files the first frame counts.

A file is refused before it is decoded if it isn't a regular file, or if its header promises more pixels than
`max_pixels`: a few kilobytes can unpack to many gigabytes.
"""

import os
import stat
from io import BytesIO

import cv2
import numpy as np
from PIL import Image, ImageOps

# OpenCV's own threads fight with the loader's processes and with torch (330 k -> 4 k images/s measured).
cv2.setNumThreads(0)

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_GREY, _PNG_RGB = 0, 2
# No photograph comes near this; reading a sparse or endless file would fill the memory.
_MAX_BYTES = 1 << 30


class ImageError(ValueError):
    """A file that cannot be used as an image; the message is one line that names it."""


def read_image(path: str | os.PathLike[str]) -> np.ndarray:
    """Decodes an image file of any kind; the content decides, not the extension.

    Returns:
        uint8 array (H, W, 3), RGB, upright.

    Raises:
        FileNotFoundError: if there is no such file.
        ImageError: if the file isn't a regular file, isn't an image, has more than `max_pixels` pixels, or is truncated
            or damaged; names the path.
    """
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise ImageError(f"'{os.fspath(path)}' is {kind_of(status.st_mode)}, not a regular file")
    if status.st_size > _MAX_BYTES:
        raise ImageError(f"'{os.fspath(path)}' has {status.st_size:,} bytes; at most {_MAX_BYTES:,} are read")
    with open(path, "rb") as file:
        return decode_image(file.read(), os.fspath(path))


def kind_of(mode: int) -> str:
    """Names the kind of a file that is no regular file, by its `stat` mode."""
    kinds = {
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a named pipe",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    return kinds.get(stat.S_IFMT(mode), "a special file")


def max_pixels() -> float:
    """Returns the number of pixels above which an image is refused.

    Twice `PIL.Image.MAX_IMAGE_PIXELS`, where Pillow draws the line too; infinity if that is set to None.
    """
    limit = Image.MAX_IMAGE_PIXELS
    return float("inf") if limit is None else 2 * limit


def decode_image(data: bytes, name: str) -> np.ndarray:
    """Decodes the content of an image file; `name` is for messages. Returns and raises as `read_image`."""
    if _is_plain(data):
        _check_size(*_plain_size(data), name)
        pixels = _decode_plain(data)
        if pixels is not None:
            return pixels
    # What OpenCV refused is tried again: Pillow then says what is wrong with it.
    try:
        with Image.open(BytesIO(data)) as image:
            _check_size(*image.size, name)
            return np.array(_to_rgb(ImageOps.exif_transpose(image)))
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(f"'{name}' is refused: {error}") from error
    except MemoryError as error:
        raise ImageError(f"'{name}' does not fit into memory") from error
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


def _check_size(width: int, height: int, name: str) -> None:
    if width * height > max_pixels():
        raise ImageError(
            f"'{name}' has {width}x{height} pixels; at most {max_pixels():,.0f} are decoded "
            "(twice PIL.Image.MAX_IMAGE_PIXELS)"
        )


def _plain_size(data: bytes) -> tuple[int, int]:
    """Width and height that the header of a plain JPEG or PNG gives."""
    if data.startswith(_PNG):
        return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    frame = _jpeg_frame(data)
    return int.from_bytes(data[frame + 7 : frame + 9], "big"), int.from_bytes(data[frame + 5 : frame + 7], "big")


def _jpeg_channels(data: bytes) -> int:
    """Number of colour components in a JPEG's 8-bit frame header (4 is CMYK); 0 where there is none."""
    frame = _jpeg_frame(data)
    return data[frame + 9] if frame and data[frame + 4] == 8 else 0


def _jpeg_frame(data: bytes) -> int:
    """Where a JPEG's frame header begins; 0 where there is none."""
    at = 2
    while at + 9 < len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # padding
            at += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return at
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
