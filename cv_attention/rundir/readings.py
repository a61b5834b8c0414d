"""Defines files of texts that were read: ``readings.csv``, itself a label file, and ``maps/reading-XXXX.json``."""

import csv
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cv_attention.alignment import Pair
from cv_attention.rundir.files import write_bytes, write_text
from cv_attention.rundir.formats import Damaged
from cv_attention.rundir.layout import READING_FORMAT
from cv_attention.rundir.sealing import read_sealed, sealed

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


@dataclass(frozen=True)
class ReadProbe:
    """Holds what was read from one probe image.

    Attributes:
        text: The text.
        confidence: Its probability.
        units: Its T units: characters, graphemes or words.
        confidences: The probability of each unit.
        truth: The true text.
        true_units: Its units.
        alignment: The edit alignment of `units` with `true_units`.
    """

    text: str
    confidence: float
    units: tuple[str, ...]
    confidences: tuple[float, ...]
    truth: str
    true_units: tuple[str, ...]
    alignment: tuple[Pair, ...]


@dataclass(frozen=True)
class ReadEpoch:
    """``maps/reading-XXXX.json``: what was read from N probe images at the end of one epoch.

    Weights are in ``maps/reading-XXXX.npz``, array ``weights``, float16 (N, heads, T, h, w): of each unit of each text,
    0 behind the last one, for T units of the longest text.

    Attributes:
        epoch: Index of the epoch.
        step: Optimizer steps taken; None where unknown.
        unit: What texts are divided into: ``character``, ``grapheme`` or ``word``.
        attends: Whether there are weights.
        probes: What was read, in the order of the probe images.
    """

    epoch: int
    step: int | None
    unit: str
    attends: bool
    probes: tuple[ReadProbe, ...]

    def write(self, path: Path) -> None:
        """Writes the file whole or not at all, and makes its folder."""
        write_text(path, json.dumps(sealed(asdict(self), READING_FORMAT)))

    @classmethod
    def read(cls, path: Path) -> "ReadEpoch":
        """Reads the file.

        Raises:
            NewerFormat: if a later version wrote it.
            Damaged: if it does not hold what was written.
        """
        content = read_sealed(path, READING_FORMAT)
        try:
            return cls(
                epoch=int(content["epoch"]),
                step=None if content.get("step") is None else int(content["step"]),
                unit=str(content["unit"]),
                attends=bool(content["attends"]),
                probes=tuple(_probe(entry) for entry in content["probes"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise Damaged(f"{path} is damaged: {error or type(error).__name__}") from error


def _probe(entry: Mapping[str, Any]) -> ReadProbe:
    units, true = tuple(map(str, entry["units"])), tuple(map(str, entry["true_units"]))
    each = tuple(float(value) for value in entry["confidences"])
    pairs = tuple(Pair(kind, read, place) for kind, read, place in entry["alignment"])
    whole = [pair.read for pair in pairs if pair.read is not None] == list(range(len(units)))
    if len(each) != len(units) or not whole:
        raise ValueError("each unit must have one probability and one place in the alignment")
    if [pair.true for pair in pairs if pair.true is not None] != list(range(len(true))):
        raise ValueError("each true unit must have one place in the alignment")
    if not all(0 <= value <= 1 for value in (*each, float(entry["confidence"]))):
        raise ValueError("probabilities must be 0 to 1")
    return ReadProbe(str(entry["text"]), float(entry["confidence"]), units, each, str(entry["truth"]), true, pairs)
