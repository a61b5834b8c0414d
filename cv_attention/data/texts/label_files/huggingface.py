"""Reads the metadata of Hugging Face's image folders, and the ``readings.csv`` of ``cv-attention read``.

Both have the columns ``file_name`` and ``text``; further columns are ignored.
"""

from collections.abc import Iterator
from pathlib import Path

from cv_attention.data.tables.entries import Entry
from cv_attention.data.texts.label_files.doctr import parse
from cv_attention.data.texts.label_files.labels import lines
from cv_attention.data.texts.label_files.tables import read_table

NAMES = ("metadata.csv", "metadata.jsonl", "readings.csv")


def read(file: Path) -> Iterator[Entry]:
    """Yields every image with its text.

    Raises:
        ValueError: if a column or a key is missing, or a line is invalid; names the line.
    """
    if file.suffix == ".csv":
        yield from read_table(file, "file_name", "text")
        return
    for number, line in lines(file):
        place = f"'{file}', line {number}"
        found = parse(line, place)
        for name in ("file_name", "text"):
            value = found.get(name) if isinstance(found, dict) else None
            if not isinstance(value, str):
                raise ValueError(f"{place} must have the strings file_name and text, got {line:.80}")
        yield Entry(found["file_name"], found["text"], file, number)
