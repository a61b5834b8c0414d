"""Writes what was answered in every test episode as a table."""

import csv
import io
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback
from torch import distributed

from cv_attention.rundir.files import write_text

HEADER = ("episode", "step", "answer", "given", "probability", "instance")


class RecalledFile(Callback):
    """Writes ``recalled.csv`` after testing, one row for each answer that was asked for.

    Columns: ``episode``, its index in the split; ``step``, from 0 on; ``answer``, the right label; ``given``, the
    likeliest; ``probability`` of the right one; ``instance``, how often the label had been shown by then, 0 where that
    means nothing. It includes the episodes of all processes, each once.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rows: dict[int, list[tuple[Any, ...]]] = {}

    def on_test_epoch_start(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Starts collecting."""
        self._rows = {}

    def on_test_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Keeps the answers of one batch."""
        steps, probabilities = outputs.steps, outputs.logits.float().softmax(2)
        given = probabilities.argmax(2).tolist()
        right = probabilities.gather(2, steps.answer.clamp(min=0)[..., None])[..., 0].tolist()
        answers, nth = steps.answer.tolist(), steps.nth.tolist()
        for row, index in enumerate(batch["index"].tolist()):
            self._rows[index] = [
                (index, step, answer, given[row][step], round(right[row][step], 6), nth[row][step])
                for step, answer in enumerate(answers[row])
                if answer >= 0
            ]

    def on_test_epoch_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Writes the file, in one process only."""
        rows: dict[int, Any] = self._rows
        self._rows = {}
        if trainer.world_size > 1:
            parts: list[Any] = [None] * trainer.world_size
            distributed.all_gather_object(parts, rows)
            rows = {index: part[index] for part in parts for index in part}
        if trainer.is_global_zero and rows:
            text = io.StringIO()
            writer = csv.writer(text, lineterminator="\n")
            writer.writerow(HEADER)
            writer.writerows(row for index in sorted(rows) for row in rows[index])
            write_text(self.path, text.getvalue())
