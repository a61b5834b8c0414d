"""Rolls a run directory back to the checkpoint being resumed."""

import csv
import io
from pathlib import Path
from typing import Any

from cv_attention.report.read.metrics import LONGEST_LINE, is_per_epoch
from cv_attention.rundir.files import write_text
from cv_attention.rundir.layout import EpochFile, RunLayout


def rewind(run: Path, checkpoint: dict[str, Any]) -> None:
    """Drops metrics, maps and confusion matrices logged after the checkpoint: the resumed run logs them again.

    Otherwise the curves of a killed run would contain the steps between checkpoint and kill twice.

    Args:
        run: The run directory.
        checkpoint: The content of the checkpoint.
    """
    step = checkpoint["global_step"]
    epochs = checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]
    layout = RunLayout(run)
    for _, path in layout.metrics_files():
        _rewind_metrics(path, step, epochs)
    for kind in EpochFile:
        for epoch, path in layout.epoch_files(kind).items():
            if epoch >= epochs:
                path.unlink()


def _rewind_metrics(path: Path, step: int, epochs: int) -> None:
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        reader = csv.DictReader(line.replace("\0", "") for line in file if len(line) <= LONGEST_LINE)
        names, rows = list(reader.fieldnames or []), list(reader)
    kept = [row for row in rows if _is_before(row, step, epochs)]
    if len(kept) == len(rows):
        return
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, names, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(kept)
    write_text(path, buffer.getvalue())


def _is_before(row: dict[str, Any], step: int, epochs: int) -> bool:
    """Returns whether a row was logged before the checkpoint; False for a row cut short by a kill."""
    try:
        logged, epoch = int(row["step"]), int(row["epoch"])
    except (KeyError, TypeError, ValueError):
        return False
    of_epoch = any(value for name, value in row.items() if name and is_per_epoch(name))
    return logged < step and not (of_epoch and epoch >= epochs)
