"""Defines ``readings.csv``: the text that was read from each image, which is itself a file of labels."""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cv_attention.rundir.files import write_bytes
from cv_attention.rundir.formats import Damaged

FIELDS = ("file_name", "text", "confidence")
TRUE_FIELDS = ("truth", "cer")


@dataclass(frozen=True)
class ReadText:
    """Holds what was read from one image.

    Attributes:
        file_name: Name of the image in its data set, or its path.
        text: The text that was read.
        confidence: Its probability, in [0, 1].
        truth: The true text; None where it is unknown.
        cer: Character error rate of this text; None where the truth is unknown.
    """

    file_name: str
    text: str
    confidence: float
    truth: str | None = None
    cer: float | None = None


def write_readings(path: Path, readings: Iterable[ReadText]) -> None:
    """Writes a table of readings whole or not at all; ``truth`` and ``cer`` only where a truth is known.

    Args:
        path: The file.
        readings: A row for each image.
    """
    rows = list(readings)
    true = any(row.truth is not None for row in rows)
    lines = [_line([*FIELDS, *(TRUE_FIELDS if true else ())]), *(_line(_cells(row, true)) for row in rows)]
    write_bytes(path, "".join(lines).encode("utf-8", "backslashreplace"))


def _line(cells: list[str]) -> str:
    """Returns a line; the writer ends it with CR LF, and so quotes what holds either of them."""
    line = io.StringIO(newline="")
    csv.writer(line).writerow(cells)
    return line.getvalue().removesuffix("\r\n") + "\n"


def _cells(row: ReadText, true: bool) -> list[str]:
    cells = [row.file_name, row.text, f"{row.confidence:.6g}"]
    if not true:
        return cells
    return [*cells, "", ""] if row.truth is None else [*cells, row.truth, f"{row.cer:.6g}"]


def read_readings(path: Path) -> list[ReadText]:
    """Reads a table of readings; fields that are not known are ignored.

    Args:
        path: The file.

    Raises:
        OSError: if it cannot be read.
        Damaged: if it is not such a table; names the line.
    """
    found: list[ReadText] = []
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        try:
            if missing := [name for name in FIELDS if name not in (reader.fieldnames or ())]:
                raise ValueError(f"it has no field {missing[0]}")
            found.extend(_row(cells) for cells in reader)
        except (ValueError, TypeError, csv.Error) as error:
            raise Damaged(f"{path} is damaged at line {reader.line_num}: {error}") from error
    return found


def _row(cells: dict[str, str]) -> ReadText:
    if None in cells or None in cells.values():
        raise ValueError("it has more or fewer fields than the first line")
    confidence, cer = float(cells["confidence"]), cells.get("cer")
    if not 0 <= confidence <= 1:
        raise ValueError(f"confidence must be 0 to 1, got {confidence:g}")
    return ReadText(
        cells["file_name"],
        cells["text"],
        confidence,
        cells.get("truth") if cer else None,  # an empty truth has a rate too
        float(cer) if cer else None,
    )
