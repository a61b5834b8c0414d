"""Decodes any image file to uint8 (H, W, 3) RGB.

Plain 8-bit JPEG and PNG, the vast majority, are decoded by OpenCV, which is a third faster; all other kinds by Pillow.
Pixels without an obvious RGB value are handled as follows:

- transparency (RGBA, grey with alpha, palette with a transparent colour) is blended over white, as in browsers;
- images of more than 8 bits are scaled to 8 by the range declared for all of them (`bits`), or else by that of their
  own header, see `deep.py`;
- EXIF rotation is applied, so that images are upright;
- only the first frame of animations and multi-page files is used.

A file is rejected before decoding if it is not a regular file, or if its header declares more pixels than
`max_pixels`: a few kilobytes can unpack to many gigabytes. Formats that are not listed here are never opened, since
Pillow would start other programs for some of them.
"""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO

import cv2
import numpy as np
from PIL import Image

from cv_attention.data.decoding import deep

# OpenCV's threads compete with loader processes and with torch (measured: 330 k -> 4 k images/s).
cv2.setNumThreads(0)

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_GREY, _PNG_RGB = 0, 2
# The last ones do not identify files reliably.
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "JPEG2000", "AVIF", "PPM", "ICO", "DIB", "TGA")
# Magic numbers, for messages.
_KINDS = {
    b"\x89PNG": "PNG",
    b"\xff\xd8": "JPEG",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "BigTIFF",
    b"MM\0+": "BigTIFF",
    b"GIF8": "GIF",
    b"RIFF": "WebP",
    b"%!PS": "PostScript file",
    b"%PDF": "PDF",
    b"8BPS": "Photoshop file",
}
_HEAVY = ("WEBP", "AVIF", "JPEG2000")  # decoders that hold several copies of an image
_DEEP = (b"II", b"MM", b"P2", b"P3", b"P5", b"P6", b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51")  # and PNG
_ORIENTATION = 0x0112
_ROWS = 256  # that are converted at once: a large image is held once, not three times
# EXIF orientation -> function that makes the array upright.
_UPRIGHT: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: np.rot90(pixels, 2).swapaxes(0, 1),
    8: lambda pixels: np.rot90(pixels),
}
# Far above any photograph; reading a sparse or endless file would exhaust memory.
MAX_BYTES = 1 << 30


class ImageError(ValueError):
    """Signals a file that cannot be used as an image; the message is one line that names it.

    Examples:
        >>> from pathlib import Path
        >>> from cv_attention import data
        >>> _ = Path("broken.jpg").write_text("no image")
        >>> try:
        ...     data.read_image("broken.jpg")
        ... except data.ImageError as error:
        ...     print(error)
        'broken.jpg' is not an image (8 bytes of unknown kind)
    """


def read_image(path: str | os.PathLike[str], bits: int | None = None) -> np.ndarray:
    """Decodes an image file of any kind, recognised by its content rather than its extension.

    Args:
        path: The file.
        bits: Bit depth of images with more than 8 bits, range 0 to 2 ** bits - 1: 12 for 12-bit data of a camera or
            scanner in 16-bit files. None uses the full range that a file's header allows.

    Returns:
        uint8 array (H, W, 3), RGB, upright.

    Raises:
        FileNotFoundError: if the file does not exist.
        ImageError: if the file isn't a regular file, cannot be read, isn't an image, has more than `max_pixels` pixels
            or values beyond its range, or is truncated or damaged; names the path.

    Examples:
        >>> from PIL import Image
        >>> from cv_attention import data
        >>> Image.new("L", (640, 480), 200).save("grey.png")
        >>> image = data.read_image("grey.png")
        >>> image.shape, image.dtype, image[0, 0]
        ((480, 640, 3), dtype('uint8'), array([200, 200, 200], dtype=uint8))
    """
    return decode_image(read_bytes(path), shown(path), bits)


def read_bytes(path: str | os.PathLike[str], most: int = MAX_BYTES) -> bytes:
    """Reads at most this many bytes of a regular file of at most 1 GiB. Raises like `read_image`."""
    name = shown(path)
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise ImageError(f"'{name}' is {kind_of(status.st_mode)}, not a regular file")
        if status.st_size > MAX_BYTES:
            raise ImageError(f"'{name}' has {status.st_size:,} bytes; at most {MAX_BYTES:,} are read")
        with open(path, "rb") as file:
            return file.read(most)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ImageError(f"'{name}' cannot be read: {error.strerror or error}") from error


def shown(name: str | os.PathLike[str]) -> str:
    """Returns a name as one line safe for terminals: no line breaks, control characters or invalid UTF-8."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in os.fspath(name))


def kind_of(mode: int) -> str:
    """Names the kind of a non-regular file, by its `stat` mode."""
    kinds = {
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a named pipe",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    return kinds.get(stat.S_IFMT(mode), "a special file")


def max_pixels() -> float:
    """Returns the number of pixels above which an image is rejected.

    Twice `PIL.Image.MAX_IMAGE_PIXELS`, like Pillow's own limit; infinity if that is set to None. Half of it for colour
    of more than 8 bits, WebP, AVIF and JPEG 2000, so that no image needs more than 2 GB.
    """
    limit = Image.MAX_IMAGE_PIXELS
    return float("inf") if limit is None else 2 * limit


def decode_image(data: bytes, name: str, bits: int | None = None) -> np.ndarray:
    """Decodes the content of an image file; `name` is for messages. Returns and raises like `read_image`."""
    if _is_plain(data):
        _check_size(*_plain_size(data), name)
        pixels = _decode_plain(data)
        if pixels is not None:
            return pixels
    # Files that OpenCV rejects are tried again with Pillow, which reports what is wrong.
    with opened(data, name) as image:
        white = _white(image, data, name)
        image.load()
        turn = _turn(image)
        pixels = _to_rgb(image) if white is None else deep.read(image, data, white).to_rgb(bits)
    return pixels if turn is None else np.ascontiguousarray(turn(pixels))


def may_be_deep(head: bytes) -> bool:
    """Returns whether a file that starts like this can have more than 8 bits; AVIF scales its own, others have none."""
    return head[24:25] == b"\x10" if head.startswith(_PNG) else head.startswith(_DEEP)


def read_deep(data: bytes, name: str) -> deep.Deep | None:
    """Reads the stored values of an image of more than 8 bits; None for others. Raises like `read_image`."""
    if not may_be_deep(data):
        return None
    with opened(data, name) as image:
        white = _white(image, data, name)
        return None if white is None else deep.read(image, data, white)


def _white(image: Image.Image, data: bytes, name: str) -> int | None:
    """Wraps `deep.white_of`; halves the limit on pixels if decoding holds several copies."""
    white = deep.white_of(image, data)
    if image.format in _HEAVY or (white is not None and not image.mode.startswith("I")):
        _check_size(*image.size, name, share=2)
    return white


@contextmanager
def opened(data: bytes, name: str) -> Iterator[Image.Image]:
    """Opens an image by its header; converts whatever Pillow raises in the context to a one-line `ImageError`.

    Raises:
        ImageError: if it has more than `max_pixels` pixels, or is not an image.
    """
    Image.init()  # loads all plugins, on the first call only
    try:
        with Image.open(BytesIO(data), formats=[name for name in _FORMATS if name in Image.OPEN]) as image:
            _check_size(*image.size, name)
            yield image
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(f"'{name}' was rejected: {error}") from error
    except MemoryError as error:
        raise ImageError(f"'{name}' does not fit into memory") from error
    except Image.UnidentifiedImageError:
        kind = next((kind for start, kind in _KINDS.items() if data.startswith(start)), "")
        description = f"a {kind} that is damaged or of an unsupported kind" if kind else "not an image"
        raise ImageError(f"'{name}' is {description} ({len(data)} bytes{'' if kind else ' of unknown kind'})") from None
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged files
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageError(f"'{name}' cannot be decoded: {reason}") from error


def _decode_plain(data: bytes) -> np.ndarray | None:
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    except cv2.error:
        return None


def _is_plain(data: bytes) -> bool:
    """Returns whether this is a complete 8-bit grey or RGB JPEG or PNG without anything that OpenCV would drop."""
    if data.startswith(b"\xff\xd8"):
        # A truncated file has no end-of-image marker; OpenCV would silently fill it with grey.
        return data.rstrip(b"\0").endswith(b"\xff\xd9") and _jpeg_channels(data) in (1, 3)
    if data.startswith(_PNG) and len(data) > 26:
        depth, colour = data[24], data[25]
        extras = any(chunk in data for chunk in (b"tRNS", b"eXIf"))  # an accidental match in the pixels only costs time
        return depth == 8 and colour in (_PNG_GREY, _PNG_RGB) and b"IEND" in data[-12:] and not extras
    return False


def _check_size(width: int, height: int, name: str, share: int = 1) -> None:
    most = max_pixels() / share
    if width * height > most:
        limit = "twice PIL.Image.MAX_IMAGE_PIXELS" if share == 1 else "PIL.Image.MAX_IMAGE_PIXELS for this kind of file"
        raise ImageError(f"'{name}' has {width}x{height} pixels; at most {most:,.0f} are decoded ({limit})")


def _plain_size(data: bytes) -> tuple[int, int]:
    """Returns width and height from the header of a plain JPEG or PNG."""
    if data.startswith(_PNG):
        return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    frame = _jpeg_frame(data)
    return int.from_bytes(data[frame + 7 : frame + 9], "big"), int.from_bytes(data[frame + 5 : frame + 7], "big")


def _jpeg_channels(data: bytes) -> int:
    """Returns the number of colour components in a JPEG's 8-bit frame header (4 is CMYK); 0 if there is none."""
    frame = _jpeg_frame(data)
    return data[frame + 9] if frame and data[frame + 4] == 8 else 0


def _jpeg_frame(data: bytes) -> int:
    """Returns the offset of a JPEG's frame header; 0 if there is none."""
    offset = 2
    while offset + 9 < len(data) and data[offset] == 0xFF:
        marker = data[offset + 1]
        if marker == 0xFF:  # padding
            offset += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return offset
        else:
            offset += 2 + int.from_bytes(data[offset + 2 : offset + 4], "big")
    return 0


def _to_rgb(image: Image.Image) -> np.ndarray:
    """Converts a loaded image of 8 bits, some rows at a time."""
    if image.mode == "F" or image.mode.startswith("I"):
        raise ValueError(f"pixels of Pillow's mode {image.mode} have no fixed range; convert the file to 8 bits")
    width, height = image.size
    pixels = np.empty((height, width, 3), np.uint8)
    clear = image.mode in ("LA", "PA", "La", "RGBa", "RGBA") or "transparency" in image.info
    for top in range(0, height, _ROWS):
        part = image.crop((0, top, width, min(top + _ROWS, height)))
        if clear:
            rgba = part.convert("RGBA")
            part = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
        pixels[top : top + _ROWS] = np.asarray(part.convert("RGB"))
    return pixels


def _turn(image: Image.Image) -> Callable[[np.ndarray], np.ndarray] | None:
    """Returns the function that makes a loaded image upright; None if Pillow and OpenCV do so, as for TIFF."""
    return None if image.format == "TIFF" else _UPRIGHT.get(image.getexif().get(_ORIENTATION, 1))
