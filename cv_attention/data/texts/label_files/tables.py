"""Reads tables of comma-separated values with a header that names the columns."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from cv_attention.data.texts.label_files.labels import Entry, text_of


def read_table(file: Path, image: str, text: str) -> Iterator[Entry]:
    """Reads images and their texts from two columns of a table; further columns are ignored.

    Args:
        file: The table, as RFC 4180 describes it: a field in quotes may hold commas, line feeds and doubled quotes.
        image: Name of the column of paths.
        text: Name of the column of texts.

    Raises:
        ValueError: if a column is missing, or a row has more or fewer fields than the header; names the line.
    """
    rows = csv.reader(io.StringIO(text_of(file), newline=""), strict=True)
    begin = 1
    try:
        header = next(rows)
        for name in (image, text):
            if name not in header:
                raise ValueError(f"'{file}' must have the columns {image} and {text}, got {', '.join(header):.200}")
        columns, begin = (header.index(image), header.index(text)), rows.line_num + 1
        for row in rows:
            if len(row) != len(header) and row:
                raise ValueError(f"'{file}', line {begin} has {len(row)} fields, but the header has {len(header)}")
            if row:
                yield Entry(row[columns[0]], row[columns[1]], file, begin)
            begin = rows.line_num + 1
    except csv.Error as error:
        raise ValueError(f"'{file}', line {begin}: {error}") from None
