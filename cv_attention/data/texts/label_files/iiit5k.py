"""Reads the ``traindata.mat`` and ``testdata.mat`` of IIIT5K-Words, and the boxes of characters that lie next to them.

Mishra et al., "Scene Text Recognition using Higher Order Language Priors", BMVC 2012.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from cv_attention.data.tables.entries import Entry

NAMES = ("traindata.mat", "testdata.mat")


def read(file: Path) -> Iterator[Entry]:
    """Yields every image with its text, and its boxes if ``trainCharBound.mat`` is there.

    Raises:
        ValueError: if the file is not MATLAB's, or holds something else; names it.
    """
    split = file.stem.removesuffix("data")
    bounds = file.with_name(f"{split}CharBound.mat")
    rows = _rows(bounds, f"{split}CharBound") if bounds.is_file() else ()
    boxes = {_text(row["ImgName"]): row["charBB"] for row in rows}
    for row in _rows(file, f"{split}data"):
        image, text = _text(row["ImgName"]), _text(row["GroundTruth"])
        yield Entry(image, text, file, boxes=_corners(boxes[image]) if image in boxes else None)


def _rows(file: Path, name: str) -> Iterator[Any]:
    """Yields the elements of a structure array in a MATLAB file."""
    from scipy.io import loadmat

    try:
        rows = loadmat(file)[name].reshape(-1)
        assert {"ImgName"} <= set(rows.dtype.names)
    except Exception as error:  # whatever scipy raises on files of another kind
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"'{file}' does not hold the structure array {name} of IIIT5K: {reason}") from error
    yield from rows


def _text(value: Any) -> str:
    return str(np.asarray(value).reshape(-1)[0])


def _corners(boxes: Any) -> np.ndarray:
    """Returns x0, y0, x1, y1 of boxes given by corner, width and height."""
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], 1)
