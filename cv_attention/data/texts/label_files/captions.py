"""Reads the ``captions.txt`` of Flickr8k: a table ``image,caption`` with several captions for each image."""

from collections.abc import Iterator
from pathlib import Path

from cv_attention.data.tables.entries import Entry
from cv_attention.data.texts.label_files.tables import read_table

NAMES = ("captions.txt",)


def read(file: Path) -> Iterator[Entry]:
    """Yields every image with each of its texts.

    Raises:
        ValueError: if a column is missing, or a row is invalid; names the line.
    """
    return read_table(file, "image", "caption")
