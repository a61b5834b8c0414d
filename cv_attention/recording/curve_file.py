"""Writes metrics by epoch as the CSV files of a run directory."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from cv_attention.rundir.files import write_text
from cv_attention.rundir.layout import RunLayout

Row = dict[str, str]


class CurveFile:
    """Writes one part of a run's curves: a row for each logged epoch, in the order of the epochs.

    Args:
        run: The run directory; earlier parts in it stay, but for epochs that are logged again.
    """

    def __init__(self, run: RunLayout) -> None:
        self.run, self.path = run, run.metrics_file(run.next_part())
        self.rows: dict[int, Row] = {}

    def log(self, epoch: int, step: int, values: Mapping[str, float]) -> None:
        """Adds a row, or replaces that of the same epoch, and writes the file."""
        if epoch not in self.rows:
            for _, path in self.run.metrics_files():
                if path != self.path:
                    _drop(path, epoch)
        self.rows[epoch] = {"epoch": str(epoch), "step": str(step), **{k: repr(v) for k, v in values.items()}}
        _write(self.path, [self.rows[at] for at in sorted(self.rows)])


def _drop(path: Path, epoch: int) -> None:
    rows = _read(path)
    kept = [row for row in rows if row.get("epoch") != str(epoch)]
    if len(kept) < len(rows):
        _write(path, kept)


def _read(path: Path) -> list[Row]:
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        return [{name: text or "" for name, text in row.items() if name} for row in csv.DictReader(file)]


def _write(path: Path, rows: list[Row]) -> None:
    names = dict.fromkeys(["epoch", "step", *(name for row in rows for name in row)])
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, list(names), restval="")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, buffer.getvalue())
