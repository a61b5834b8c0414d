"""Reads tables of comma-separated values with a header that names the columns."""

from collections.abc import Iterator
from pathlib import Path

from cv_attention.data.tables.entries import Entry
from cv_attention.data.tables.sheets import separated_rows


def read_table(file: Path, image: str, text: str) -> Iterator[Entry]:
    """Reads images and their texts from two columns of a table; further columns are ignored.

    Args:
        file: The table, as RFC 4180 describes it: a field in quotes may hold commas, line feeds and doubled quotes.
        image: Name of the column of paths.
        text: Name of the column of texts.

    Raises:
        ValueError: if a column is missing, or a row has more or fewer fields than the header; names the line.
    """
    rows = separated_rows(file)
    _, header = next(rows)
    for name in (image, text):
        if name not in header:
            raise ValueError(f"'{file}' must have the columns {image} and {text}, got {', '.join(header):.200}")
    columns = header.index(image), header.index(text)
    for line, row in rows:
        yield Entry(row[columns[0]], row[columns[1]], file, line)
