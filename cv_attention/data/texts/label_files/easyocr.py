"""Reads EasyOCR's ``labels.csv``: ``filename,words``; all behind the first comma is the text, without quotation."""

from collections.abc import Iterator
from pathlib import Path

from cv_attention.data.tables.entries import Entry
from cv_attention.data.texts.label_files.labels import lines

NAMES = ("labels.csv",)


def read(file: Path) -> Iterator[Entry]:
    """Yields every image with its text.

    Raises:
        ValueError: if the header or a comma is missing, or a text could be quoted or not; names the line.
    """
    rows = lines(file)
    number, header = next(rows)
    if header.split(",")[:2] != ["filename", "words"]:
        raise ValueError(f"'{file}', line {number} must be filename,words, got {header:.80}")
    for number, line in rows:
        image, comma, text = line.partition(",")
        if not comma:
            raise ValueError(f"'{file}', line {number} must be an image, a comma and a text, got {line:.80}")
        inner = text[1:-1]
        if len(text) > 1 and text[0] == text[-1] == '"' and ("," in inner or '""' in inner):
            raise ValueError(
                f"'{file}', line {number}: the quotation marks of {text:.80} are a part of the text in EasyOCR's "
                "labels.csv, but not in other tables; write a metadata.csv with the columns file_name and text"
            )
        yield Entry(image, text, file, number)
