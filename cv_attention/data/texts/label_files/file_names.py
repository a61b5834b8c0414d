"""Reads texts from the names of image files, such as ``12_WORD_345.jpg`` of MJSynth."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from cv_attention.data.sources.folder import image_files
from cv_attention.data.tables.entries import Entry


def check_pattern(pattern: str) -> re.Pattern[str]:
    """Compiles the expression that finds the text in a file name.

    Raises:
        ValueError: if it is not a regular expression with one group.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"data.text.from_name is not a regular expression: {error}: {pattern!r}") from None
    if compiled.groups != 1:
        raise ValueError(
            f"data.text.from_name must have one group, which is the text, such as '_([^_]+)_', got {pattern!r}"
        )
    return compiled


def read(folder: Path, pattern: str) -> Iterator[Entry]:
    """Yields every image of a folder and its subfolders with the text in its name.

    Args:
        folder: The folder.
        pattern: Regular expression that is searched for in each file name, whose group is the text.

    Raises:
        ValueError: if a name has no such part; names the file.
    """
    compiled = check_pattern(pattern)
    for encoded in image_files(folder):
        path = Path(os.fsdecode(encoded))
        found = compiled.search(path.name)
        if found is None or found[1] is None:
            raise ValueError(f"data.text.from_name: {pattern!r} finds no text in the name of '{path}'")
        yield Entry(str(path.relative_to(folder)), found[1], folder)
