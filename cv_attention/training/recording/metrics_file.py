"""Writes ``metrics.csv`` so that nothing that ends a process takes logged rows with it."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter

from cv_attention.rundir.files import write_bytes


class MetricsLogger(CSVLogger):
    """Lightning's CSV logger with a writer that signals and kills do not harm.

    Lightning's own empties the file and writes it again when a metric is logged for the first time, as at the end of
    the test, so that a process that is ended there loses all rows. And rows of a `save` that a signal interrupted are
    written twice.
    """

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The writer, which is made when it is first asked for."""
        if self._experiment is None:
            self._experiment = MetricsFile(log_dir=self.log_dir)
        return self._experiment


class MetricsFile(ExperimentWriter):
    """Writes the rows of one part: new columns by replacing the file, rows after those that are known to be whole.

    Attributes:
        metrics: All rows that were logged.
    """

    def __init__(self, log_dir: str) -> None:
        super().__init__(log_dir=log_dir)
        # Columns and bytes of the file, and rows in it: one value, since a signal may come between two assignments.
        self._written: tuple[list[str], int, int] = [], 0, 0

    def save(self) -> None:
        """Writes what was logged since the last call."""
        columns, size, count = self._written
        total, path = len(self.metrics), Path(self.metrics_file_path)
        if total == count:
            return
        rows = self.metrics[count:total]
        names = sorted(set(columns).union(*rows))
        if names != columns or not path.is_file():  # somebody may have removed it
            content = _lines(names, self.metrics[:total], header=True)
            write_bytes(path, content)
            size = len(content)
        else:
            content = _lines(names, rows, header=False)
            with path.open("r+b") as file:
                file.truncate(size)
                file.seek(size)
                file.write(content)
            size += len(content)
        self._written = names, size, total


def _lines(names: Sequence[str], rows: Sequence[Mapping[str, Any]], *, header: bool) -> bytes:
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, names)
    if header:
        writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue().encode()
