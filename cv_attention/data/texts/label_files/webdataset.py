"""Reads tar shards as WebDataset writes them, with the text of ``<key>.jpg`` in ``<key>.txt``."""

from collections.abc import Sequence
from pathlib import Path

from cv_attention.data.sources.shards import Shards, open_shards
from cv_attention.data.tables.entries import Entry

NAMES = ("*.tar",)


def open_archives(files: Sequence[Path], cache: Path) -> tuple[list[Entry], Shards]:
    """Opens shards and lists the texts of their images, without a line feed at the end.

    Args:
        files: The tar files.
        cache: Folder of their index.

    Raises:
        ValueError: if an archive is compressed or damaged, or an image has no text; names it.
    """
    shards = open_shards(cache, files, texts=True)
    entries = []
    for row, text in enumerate(shards.texts):
        place = shards.describe(row)
        try:
            written = text.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise ValueError(f"the text of {place} is not UTF-8 (byte {error.start})") from None
        line = written.removesuffix("\n").removesuffix("\r")
        entries.append(Entry(shards.name(row), line, shards.archive(row)))
    return entries, shards
