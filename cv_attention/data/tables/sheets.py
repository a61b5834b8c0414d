"""Reads tables: comma-, semicolon- or tab-separated values, JSON Lines, JSON and Parquet."""

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from cv_attention.data.decoding.decode import read_bytes
from cv_attention.data.decoding.text import decode_text
from cv_attention.extras import require

_SPARSE = 100  # absent values for each that is there
_FEW = 1_000_000  # rows of a Parquet file, whatever its size
_REPEATED = 20  # rows in each of its bytes
SUFFIXES = (".csv", ".tsv", ".jsonl", ".json", ".parquet")
NAMED_ONLY = ("", ".txt", ".tab", ".ndjson")  # a table where its path is given; others of a folder may be anything
_OPTION = "data.table.encoding"


class Sheet(NamedTuple):
    """Holds a table as texts.

    Attributes:
        file: Where it comes from.
        columns: The values of each column by its name; an absent value is an empty text.
        lines: Line of the file in which each row begins, from 1 on; of JSON and Parquet the number of the row.
        nested: Columns of Parquet that hold something else than one text or number in each row, such as images.
    """

    file: Path
    columns: dict[str, list[str]]
    lines: list[int]
    nested: tuple[str, ...] = ()

    def place(self, row: int) -> str:
        """Names a row in an error message."""
        counted = "row" if self.file.suffix.lower() in (".json", ".parquet") else "line"
        return f"'{self.file}', {counted} {self.lines[row]}"


def read_table(file: Path, encoding: str | None = None) -> Sheet:
    """Reads a table by the suffix of its name, one of `SUFFIXES` or `NAMED_ONLY` in small or capital letters.

    Values are separated by commas, semicolons or tabs, whichever the header has most of, with quotation marks as in
    RFC 4180. A first line ``sep=;``, as for Excel, says it instead. Rows without any value are left out. Files ``.txt``
    and those without a suffix hold separated values, or JSON if they begin as it does.

    Args:
        file: The table.
        encoding: Its encoding; None takes that of the byte order mark, or UTF-8. Parquet has none.

    Raises:
        ValueError: if the file is of another kind, empty, damaged, or its rows have other lengths than its header;
            names the line.
        FileNotFoundError: if it does not exist.
    """
    suffix = file.suffix.lower()
    if suffix not in SUFFIXES + NAMED_ONLY:
        raise ValueError(f"'{file}' is not a table that can be read; expected {', '.join(SUFFIXES)}")
    if suffix == ".parquet":
        return _parquet(file)
    text = text_of(file, encoding=encoding, option=_OPTION)
    if suffix in ("", ".txt"):
        suffix = {"[": ".json", "{": ".jsonl"}.get(text.lstrip()[0], ".csv")
    if suffix == ".json":
        return _objects(file, list(enumerate(_json_list(text, file), 1)))
    if suffix in (".jsonl", ".ndjson"):
        return _objects(file, [(line, _json(row, f"'{file}', line {line}")) for line, row in _lines(text)])
    rows = _separated(file, text)
    _, header = next(rows)
    if len(set(header)) < len(header):
        repeated = next(name for name in header if header.count(name) > 1)
        raise ValueError(f"'{file}' has several columns {repeated!r}; keep one")
    lines, values = [], []
    for line, row in rows:
        lines.append(line)
        values.append(row)
    columns = list(zip(*values, strict=True)) if values else [()] * len(header)
    return Sheet(file, {name: list(column) for name, column in zip(header, columns, strict=True)}, lines)


def separated_rows(file: Path) -> Iterator[tuple[int, list[str]]]:
    """Yields the rows of a file of separated values, the header first, with the lines in which they begin.

    Raises:
        ValueError: if a row has more or fewer fields than the header; names the line.
    """
    return _separated(file, text_of(file))


def _separated(file: Path, content: str) -> Iterator[tuple[int, list[str]]]:
    text, sign, stated = _separator(file, content)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=sign, strict=True)
    begin, length = 1 + stated, None
    try:
        for row in rows:
            if any(map(str.strip, row)):
                length = length or len(row)
                if len(row) != length:
                    raise ValueError(f"'{file}', line {begin} {_other_length(len(row), length, sign)}")
                yield begin, row
            begin = rows.line_num + 1 + stated
    except csv.Error as error:
        raise ValueError(f"'{file}', line {begin}: {error}") from None


def _separator(file: Path, text: str) -> tuple[str, str, int]:
    """Returns the rows, what separates their values, and the number of lines before them that say so."""
    if stated := re.match(r"sep=(.)(\r\n|\r|\n)", text):  # written for Excel
        return text[stated.end() :], stated[1], 1
    header = re.split(r"[\r\n]", text.lstrip("\r\n"), maxsplit=1)[0]
    bare = re.sub(r'"[^"]*"', "", header)
    return text, "\t" if file.suffix.lower() in (".tsv", ".tab") else max(",;\t", key=bare.count), 0


def _other_length(got: int, length: int, sign: str) -> str:
    name = {",": "commas", ";": "semicolons", "\t": "tabs"}.get(sign, repr(sign))
    hint = f"; put values that contain {sign!r} between quotation marks" if got > length else ""
    return f"has {got} field{'s' * (got != 1)}, but the header has {length}, separated by {name}{hint}"


def lines_of(file: Path, expected: str = "a row in each line") -> Iterator[tuple[int, str]]:
    """Yields the lines of a text file with their numbers, without line ends and without empty lines.

    Args:
        file: The file.
        expected: What it should hold, for messages.

    Raises:
        ValueError: if the file is not text, or empty; names it.
    """
    return _lines(text_of(file, expected))


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.split("\n"), 1):  # splitlines divides at more characters
        if line := line.removesuffix("\r"):
            yield number, line


def text_of(file: Path, expected: str = "a row in each line", encoding: str | None = None, option: str = "") -> str:
    """Returns the content of a text file, without a byte order mark; see `decode_text`.

    Args:
        file: The file.
        expected: What it should hold, for messages.
        encoding: Its encoding; None takes that of the byte order mark, or UTF-8.
        option: Option that sets `encoding`, for messages.

    Raises:
        ValueError: if the file is not text, or empty; names it.
    """
    text = decode_text(read_bytes(file), f"'{file}'", encoding, option)
    if not text.strip():
        raise ValueError(f"'{file}' is empty; expected {expected}")
    return text


def _json(text: str, place: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        reason = "too many brackets within each other" if isinstance(error, RecursionError) else str(error)
        raise ValueError(f"{place} is not valid JSON: {reason}") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} stands twice in an object")
    return found


def _json_list(text: str, file: Path) -> list[Any]:
    rows = _json(text, f"'{file}'")
    if not isinstance(rows, list):
        raise ValueError(f"'{file}' must be a list of objects, one for each image, got a {type(rows).__name__}")
    return rows


def _objects(file: Path, rows: list[tuple[int, Any]]) -> Sheet:
    sheet = Sheet(file, {}, [number for number, _ in rows])
    for row, (_, value) in enumerate(rows):
        if not isinstance(value, dict):
            raise ValueError(f"{sheet.place(row)} must be an object with the image and its class, got {value!r:.80}")
    names = dict.fromkeys(name for _, row in rows for name in row)
    if not names:
        raise ValueError(f"'{file}' is empty; expected an object with the image and its class for each image")
    if len(names) * len(rows) > _SPARSE * sum(len(row) for _, row in rows):  # it would fill the memory with nothing
        raise ValueError(
            f"'{file}' has {len(names):,} different names in {len(rows):,} rows; give all rows the same ones"
        )
    for name in names:
        sheet.columns[name] = [_text(row.get(name)) for _, row in rows]
    return sheet


def _parquet(file: Path) -> Sheet:
    require("parquet", f"reading '{file}'")
    import pyarrow
    from pyarrow import parquet

    read_bytes(file, 0)  # says what is wrong with a pipe, a device or a folder
    try:
        with file.open("rb") as opened:
            found = parquet.ParquetFile(opened)
            if found.metadata.num_rows > max(_FEW, _REPEATED * file.stat().st_size):
                raise ValueError(f"it claims {found.metadata.num_rows:,} rows in {file.stat().st_size:,} bytes")
            table = found.read()
        columns = {
            name: [_text(value) for value in table[name].to_pylist()]
            for name in table.column_names
            if not pyarrow.types.is_nested(table[name].type) and not _holds_files(table[name])
        }
        nested = tuple(name for name in table.column_names if name not in columns)
    except Exception as error:  # what damage makes of pages, texts and dates is not declared
        raise ValueError(f"'{file}' is not an intact Parquet file: {' '.join(str(error).split())[:300]}") from None
    return Sheet(file, columns, list(range(1, table.num_rows + 1)), nested)


def _holds_files(column: Any) -> bool:
    """Returns whether a column of Parquet holds bytes that are not text, such as encoded images."""
    import pyarrow

    if not pyarrow.types.is_binary(column.type) and not pyarrow.types.is_large_binary(column.type):
        return False
    try:
        column.cast(pyarrow.large_string())
    except pyarrow.ArrowInvalid:
        return True
    return False


def _text(value: Any) -> str:
    """Returns a value as a file of separated values holds it; bytes are texts that a writer has not marked as such."""
    if isinstance(value, bytes):
        return value.decode()
    return "" if value is None or value != value else str(value)
