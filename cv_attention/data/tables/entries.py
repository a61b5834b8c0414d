"""Describes an image that a file lists, with what it says of the image."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from cv_attention.data.decoding.decode import shown


class Entry(NamedTuple):
    """One text of one image.

    Attributes:
        image: Path of the image as it is written there, or its name in an archive.
        text: The text.
        file: The label file.
        line: Line of the file, from 1 on; 0 where the file has none.
        boxes: float32 (L, 4), x0, y0, x1, y1 of each character in pixels; None if unknown.
    """

    image: str
    text: str
    file: Path
    line: int = 0
    boxes: np.ndarray | None = None

    @property
    def place(self) -> str:
        """Names the entry in an error message."""
        return f"'{self.file}', {f'line {self.line}' if self.line else brief(self.image)}"


def brief(name: str) -> str:
    """Returns a name as a short line that is safe for terminals."""
    return f"{shown(name[:200])}{'...' if len(name) > 200 else ''}"
