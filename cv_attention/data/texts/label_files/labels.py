"""Describes what label files say, and reads their lines."""

import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cv_attention.data import tables
from cv_attention.data.decoding.decode import shown

_EXPECTED = "an image and its text in each line"
_CONTROLS = ("Cc", "Cs")  # Unicode's categories of control characters and halves of UTF-16 pairs


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


def lines(file: Path) -> Iterator[tuple[int, str]]:
    """Yields the lines of a label file with their numbers; see `tables.lines_of`."""
    return tables.lines_of(file, _EXPECTED)


def text_of(file: Path) -> str:
    """Returns the content of a label file; see `tables.text_of`."""
    return tables.text_of(file, _EXPECTED)


def check_text(entry: Entry) -> None:
    """Checks that a text holds nothing that no image can show.

    Raises:
        ValueError: if it holds a control character other than tab and line feed, or half of a UTF-16 pair, or U+FFFD,
            which a wrong decoding leaves; names file, line and character.
    """
    if entry.text.isprintable() and "\ufffd" not in entry.text:  # almost always
        return
    for place, character in enumerate(entry.text, 1):
        kind = unicodedata.category(character)
        if (kind in _CONTROLS and character not in "\t\n") or character == "\ufffd":
            what = "is left by a wrong decoding" if character == "\ufffd" else "cannot be read from an image"
            raise ValueError(f"{entry.place}: character {place} of the text is U+{ord(character):04X}, which {what}")
