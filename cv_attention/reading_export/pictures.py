"""Draws where a text was read: a strip of heatmaps, and the part of the image that each character was read from."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cv_attention.config import ReadingExport
from cv_attention.exporting.encoding import encode
from cv_attention.heads import Reading
from cv_attention.strips import alignment_strip

_OF_LARGEST = 0.5  # positions with at least this share of the largest weight belong to a crop


@dataclass(frozen=True)
class Found:
    """Holds what was read from one image.

    Attributes:
        reading: The text.
        heats: Weights of each unit, (T, h, w), the mean over heads; None without attention.
    """

    reading: Reading
    heats: np.ndarray | None


def picture_paths(config: ReadingExport, shard: int, stem: str, units: int) -> dict[str, str]:
    """Names the pictures of one image: ``alignment``, and ``crop 0``, ``crop 1``, ... for each of its units."""
    paths = {}
    if config.alignments != "none":
        paths["alignment"] = f"alignments/{shard:06d}/{stem}.{config.alignments}"
    if config.crops != "none":
        paths |= {f"crop {i}": f"crops/{shard:06d}/{stem}-{i:02d}.{config.crops}" for i in range(units)}
    return paths


def write_pictures(
    out: Path, paths: Mapping[str, str], pixels: np.ndarray, columns: int, found: Found
) -> dict[Path, str]:
    """Draws and writes the pictures that have a path, into folders that exist.

    Args:
        out: Folder of the export.
        paths: The result of `picture_paths`.
        pixels: The image as the network sees it, uint8 (H, W, 3).
        columns: How many of its columns are image and not padding.
        found: What was read from it, with weights.

    Returns:
        The SHA-256 of each written file, by path.
    """
    assert found.heats is not None
    reading, sums = found.reading, {}
    for what, path in paths.items():
        if what == "alignment":
            units, each = reading.units, reading.confidences
            drawn = alignment_strip(pixels, reading.text, reading.confidence, units, each, found.heats, columns)
        else:
            drawn = crop(pixels, found.heats[int(what.removeprefix("crop "))], columns)
        content = encode(drawn, path.rpartition(".")[2])
        (out / path).write_bytes(content)
        sums[out / path] = hashlib.sha256(content).hexdigest()
    return sums


def crop(image: np.ndarray, heat: np.ndarray, columns: int) -> np.ndarray:
    """Returns the part of an image that a character was read from.

    It is the smallest rectangle around the positions with at least half of the largest weight, of which each stands for
    its cell.

    Args:
        image: uint8 (H, W, 3).
        heat: Weights (h, w) over the whole image.
        columns: How many columns of the image are not padding.
    """
    rows, places = np.nonzero(heat >= _OF_LARGEST * heat.max())
    high, wide = image.shape[0] / heat.shape[0], image.shape[1] / heat.shape[1]
    y0, y1 = math.floor(rows.min() * high), math.ceil((rows.max() + 1) * high)
    x0, x1 = math.floor(places.min() * wide), math.ceil((places.max() + 1) * wide)
    x0 = min(x0, columns - 1)  # weights that lie in the padding
    return np.ascontiguousarray(image[y0:y1, x0 : max(min(x1, columns), x0 + 1)])
