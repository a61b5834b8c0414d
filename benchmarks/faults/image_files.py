"""Writes image files byte by byte: TIFF, PNG, and whatever Pillow writes."""

import io
import struct
import zlib
from typing import Any, Literal

import numpy as np
from PIL import Image


def tiff(
    pixels: np.ndarray,
    photometric: int,
    *,
    bits: int = 16,
    order: Literal["<", ">"] = "<",
    data: bytes = b"",
    **tags: int,
) -> bytes:
    """Writes an uncompressed TIFF of one strip.

    Args:
        pixels: (H, W) or (H, W, samples).
        photometric: 0 white is zero, 1 black is zero, 2 RGB, 5 CMYK, 8 L*a*b*.
        bits: BitsPerSample.
        order: Byte order.
        data: The strip, where it is not simply the pixels.
        tags: Further short tags: orientation, planar, extra, kind (SampleFormat).
    """
    samples = 1 if pixels.ndim == 2 else pixels.shape[2]
    planes = pixels.transpose(2, 0, 1) if tags.get("planar") == 2 else pixels
    data = data or planes.astype(pixels.dtype.newbyteorder(order)).tobytes()
    strips = samples if tags.get("planar") == 2 else 1
    length = len(data) // strips
    height, width = pixels.shape[:2]
    entries: list[tuple[int, str, list[int]]] = [
        (256, "I", [width]),
        (257, "I", [height]),
        (258, "H", [bits] * samples),
    ]
    entries += [(259, "H", [1]), (262, "H", [photometric]), (273, "I", [8 + length * i for i in range(strips)])]
    numbers = {"orientation": 274, "planar": 284, "extra": 338}
    entries += [(numbers[name], "H", [value]) for name, value in tags.items() if name in numbers]
    entries += [(277, "H", [samples]), (278, "I", [height]), (279, "I", [length] * strips)]
    if "kind" in tags:
        entries.append((339, "H", [tags["kind"]] * samples))
    entries.sort()
    start = 8 + len(data)
    beyond, table = b"", b""
    for number, form, values in entries:
        packed = struct.pack(order + form * len(values), *values)
        if len(packed) > 4:
            place = struct.pack(order + "I", start + 2 + 12 * len(entries) + 4 + len(beyond))
            beyond, packed = beyond + packed, place
        table += struct.pack(order + "HHI", number, {"H": 3, "I": 4}[form], len(values)) + packed.ljust(4, b"\0")
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", start)
    return head + data + struct.pack(order + "H", len(entries)) + table + bytes(4) + beyond


def png(pixels: np.ndarray, colour: int, *chunks: bytes, size: tuple[int, int] | None = None) -> bytes:
    """Writes a PNG of 8 or 16 bits; `chunks` come before the pixels, and the header may promise another `size`."""
    height, width = size or pixels.shape[:2]
    rows = b"".join(b"\0" + row.astype(row.dtype.newbyteorder(">")).tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 8 * pixels.itemsize, colour, 0, 0, 0)
    body = [chunk(b"IHDR", header), *chunks, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def chunk(kind: bytes, content: bytes) -> bytes:
    """Writes a chunk of a PNG."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def saved(pixels: Any, kind: str, **options: Any) -> bytes:
    """Writes pixels or an image by Pillow."""
    buffer = io.BytesIO()
    (pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)).save(buffer, kind, **options)
    return buffer.getvalue()


def grey_rgb(grey: np.ndarray) -> np.ndarray:
    """Grey as RGB."""
    return np.repeat(grey[..., None], 3, 2).astype(np.uint8)
