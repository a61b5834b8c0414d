"""Describes what label files say, and reads their lines."""

import unicodedata
from collections.abc import Iterator
from pathlib import Path

from cv_attention.data.tables import sheets
from cv_attention.data.tables.entries import Entry

_EXPECTED = "an image and its text in each line"
_CONTROLS = ("Cc", "Cs")  # Unicode's categories of control characters and halves of UTF-16 pairs


def lines(file: Path) -> Iterator[tuple[int, str]]:
    """Yields the lines of a label file with their numbers; see `sheets.lines_of`."""
    return sheets.lines_of(file, _EXPECTED)


def text_of(file: Path) -> str:
    """Returns the content of a label file; see `sheets.text_of`."""
    return sheets.text_of(file, _EXPECTED)


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
