"""Reads the ``digitStruct.mat`` of the Street View House Numbers, with the box of every digit.

Netzer et al., "Reading Digits in Natural Images with Unsupervised Feature Learning", NIPS workshop 2011,
http://ufldl.stanford.edu/housenumbers (format 1, full numbers). The file is HDF5, read by the package h5py.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from cv_attention.data.tables.entries import Entry
from cv_attention.extras import require

NAMES = ("digitStruct.mat",)


def read(file: Path) -> Iterator[Entry]:
    """Yields every image with its number and the digits' boxes.

    Raises:
        ValueError: if h5py is not installed, or the file is not what it should be; names it.
    """
    require("svhn", f"'{file}'")
    import h5py  # pyright: ignore[reportMissingImports]  # an extra
    from rich.progress import track

    try:
        with h5py.File(file) as opened:
            content: Any = opened
            names, boxes = (content["digitStruct"][part][:, 0] for part in ("name", "bbox"))
            for name, box in track(zip(names, boxes, strict=True), f"reading {file.name}", len(names), transient=True):
                image = "".join(map(chr, content[name][:, 0]))
                labels, left, top, width, height = (
                    _numbers(content, content[box][part]) for part in ("label", "left", "top", "width", "height")
                )
                x0, y0 = left - 1, top - 1  # MATLAB counts from 1
                corners = np.stack([x0, y0, x0 + width, y0 + height], 1).astype(np.float32)
                yield Entry(image, "".join(str(int(label) % 10) for label in labels), file, boxes=corners)
    except (OSError, KeyError, TypeError, AttributeError, IndexError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"'{file}' is not SVHN's digitStruct.mat: {reason}") from error


def _numbers(content: Any, values: Any) -> np.ndarray:
    """Returns a field of all digits of an image: one number, or references to one number each."""
    if values.size == 1:
        return np.array([values[0, 0]], float)
    return np.array([content[reference][0, 0] for reference in values[:, 0]], float)
