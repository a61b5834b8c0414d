"""Probe images as the page shows them."""

import io
import warnings
from pathlib import Path
from typing import Any

from PIL import Image

from cv_attention.report.recording import UNREADABLE, Probe
from cv_attention.report.shards import write_hashed

_LARGEST_SIDE = 512
_LOSSLESS_SIDE = 128  # small images are shown enlarged, where the blocks of a JPEG would be seen


def write_picture(root: Path, folder: str, number: int, probe: Probe) -> dict[str, Any] | None:
    """Writes a probe's image anew, so that nothing but pixels comes along, and tells where it is.

    Returns:
        ``src`` (relative to `root`), ``width`` and ``height`` of the original in pixels; None where the image
        is missing or broken.
    """
    if probe.image is None:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(probe.image) as opened:
                image = opened.convert("RGB")
    except (*UNREADABLE, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return None
    width, height = image.size
    image.thumbnail((_LARGEST_SIDE, _LARGEST_SIDE))
    small = max(image.size) <= _LOSSLESS_SIDE
    buffer = io.BytesIO()
    image.save(buffer, "PNG" if small else "JPEG", **({"optimize": True} if small else {"quality": 88}))
    name = f"{folder}/{number:04d}.{'png' if small else 'jpg'}"
    return {"src": write_hashed(root, name, buffer.getvalue()), "width": width, "height": height}
