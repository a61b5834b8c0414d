"""Writes the text that was read from every test image as a table."""

from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback
from torch import distributed

from cv_attention.alignment import error_rate
from cv_attention.rundir.readings import ReadText, write_readings


class ReadingsFile(Callback):
    """Writes ``readings.csv`` after testing: file_name, text, confidence, truth and cer of each image, by its index.

    It includes the images of all processes, each once. The character error rate of all texts together is not the mean
    of the column ``cer``, but that weighted with the lengths of the truths.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read: dict[int, tuple[str, float, str]] = {}

    def on_test_epoch_start(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Starts collecting."""
        self._read = {}

    def on_test_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Keeps the readings of one batch."""
        for index, reading, truth in zip(batch["index"].tolist(), outputs.readings, outputs.truths, strict=True):
            self._read[index] = (reading.text, reading.confidence, truth)

    def on_test_epoch_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Writes the file, in one process only."""
        read: dict[int, Any] = self._read
        self._read = {}
        if trainer.world_size > 1:
            parts: list[Any] = [None] * trainer.world_size
            distributed.all_gather_object(parts, read)
            read = {index: row for part in parts for index, row in part.items()}
        if trainer.is_global_zero and read:
            images = trainer.datamodule.splits["test"].images  # pyright: ignore[reportAttributeAccessIssue]
            write_readings(self.path, (_row(images.short_name(index), *read[index]) for index in sorted(read)))


def _row(name: str, text: str, confidence: float, truth: str) -> ReadText:
    return ReadText(name, text, confidence, truth, error_rate(text, truth))
