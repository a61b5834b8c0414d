"""Looks at one image: what its file says, and what its pixels are."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from cv_attention.data.decoding.decode import decode_image, may_be_deep, opened, read_deep
from cv_attention.data.inspection.items import Item

_ORIENTATION = 0x0112
_BLOCK = 8  # rows of pixels that a JPEG stores together
_SUFFIXES = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"), "PNG": (".png",), "WEBP": (".webp",), "GIF": (".gif",),
    "BMP": (".bmp", ".dib"), "TIFF": (".tif", ".tiff"), "JPEG2000": (".jp2",), "AVIF": (".avif",),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"), "ICO": (".ico",), "TGA": (".tga",), "DIB": (".dib", ".bmp"),
}  # fmt: skip


@dataclass(frozen=True)
class Facts:
    """Holds what is known of one image.

    Attributes:
        item: The image.
        error: Why it cannot be used; empty if it can.
        file: Digest of its file; empty without one.
        pixels: Digest of its pixels.
        look: 64 bits that images which look alike share: whether each of 8x8 places is brighter than the next one.
        height: Height in pixels.
        width: Width in pixels.
        mean: Mean of red, green and blue in [0, 1].
        square: Mean of the squares of the same.
        grey: Whether red, green and blue are equal everywhere.
        traits: What is unusual in the file: ``transparent``, ``deep``, ``cmyk``, ``turned``, ``animated``,
            ``misnamed``, ``cut``.
    """

    item: Item
    error: str = ""
    file: str = ""
    pixels: str = ""
    look: int = 0
    height: int = 0
    width: int = 0
    mean: tuple[float, ...] = ()
    square: tuple[float, ...] = ()
    grey: bool = False
    traits: frozenset[str] = frozenset()


def facts_of(item: Item, bits: int | None) -> Facts:
    """Reads an image once, whole; a broken one gives its error."""
    content = b""
    try:
        if item.content is not None:
            content = item.content()
            pixels = decode_image(content, item.name, bits)
            traits = _traits(content, item.name) | ({"cut"} if _is_cut(content, pixels) else set())
        else:
            assert item.read is not None
            pixels, traits = item.read(), frozenset()
    except (ValueError, OSError) as error:
        return Facts(item, error=" ".join(str(error).split()), file=_digest(content))
    part = pixels[:: max(1, pixels.shape[0] // 512), :: max(1, pixels.shape[1] // 512)] / np.float32(255)
    digest = _digest(np.ascontiguousarray(pixels).tobytes() + repr(pixels.shape).encode())
    mean, square = (tuple(values.mean((0, 1), dtype=np.float64).tolist()) for values in (part, part**2))
    grey = bool((pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 1] == pixels[..., 2]).all())
    return Facts(
        item, "", _digest(content), digest, _look(pixels), pixels.shape[0], pixels.shape[1], mean, square, grey, traits
    )


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:24] if content else ""


def _look(pixels: np.ndarray) -> int:
    small = cv2.resize(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), (9, 8), interpolation=cv2.INTER_AREA).astype(int)
    return int("".join("1" if bit else "0" for bit in (small[:, 1:] > small[:, :-1]).flat), 2)


def _is_cut(content: bytes, pixels: np.ndarray) -> bool:
    """Returns whether a JPEG ends in plain grey, which decoders show in place of what a file has lost."""
    rows = max(1, min(_BLOCK, pixels.shape[0] // 4))
    return content.startswith(b"\xff\xd8") and bool((np.abs(pixels[-rows:].astype(int) - 128) <= 1).all())


def _traits(content: bytes, name: str) -> frozenset[str]:
    found = set()
    with opened(content, name) as image:
        if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
            found.add("transparent")
        if image.mode in ("CMYK", "YCCK"):
            found.add("cmyk")
        if image.getexif().get(_ORIENTATION, 1) not in (0, 1):
            found.add("turned")
        if getattr(image, "n_frames", 1) > 1:
            found.add("animated")
        suffix = Path(name).suffix.lower()
        if suffix and suffix not in _SUFFIXES.get(image.format or "", (suffix,)):
            found.add("misnamed")
    if may_be_deep(content) and read_deep(content, name) is not None:
        found.add("deep")
    return frozenset(found)
