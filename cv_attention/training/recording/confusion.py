"""Counts the confusion matrix of every epoch."""

from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback
from torch import Tensor
from torchmetrics.classification import MulticlassConfusionMatrix

from cv_attention.recording.counts import MOST_CLASSES
from cv_attention.rundir import summary
from cv_attention.rundir.contents import ConfusionCounts
from cv_attention.rundir.layout import EpochFile, RunLayout


class Confusion(Callback):
    """Writes ``confusion/epoch-XXXX.json`` after each validation and ``confusion/test.json`` after the test.

    Images of all processes are counted. Nothing is written for more than 2,000 classes.

    Args:
        run: The run directory.
    """

    def __init__(self, run: Path) -> None:
        self.run = RunLayout(run)
        self.matrix: MulticlassConfusionMatrix | None = None

    def _start(self, trainer: lightning.Trainer, module: Any) -> None:
        classes = len(module.facts.class_names)
        wanted = not trainer.sanity_checking and classes <= MOST_CLASSES
        self.matrix = MulticlassConfusionMatrix(classes).to(module.device) if wanted else None

    def _count(self, logits: Any, batch: dict[str, Tensor]) -> None:
        if self.matrix is not None:
            self.matrix.update(logits.argmax(1), batch["label"])

    def _write(self, trainer: lightning.Trainer, path: Path) -> None:
        if self.matrix is None:
            return
        counts = self.matrix.compute().cpu()
        if trainer.is_global_zero and path == self.run.tested_confusion:
            summary.update(self.run.root, per_class=by_class(counts))
        if trainer.is_global_zero:
            places = counts.nonzero().tolist()
            entries = [[*place, int(counts[place[0], place[1]])] for place in places]
            ConfusionCounts(len(counts), entries).write(path)

    def on_validation_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Begins to count."""
        self._start(trainer, pl_module)

    def on_validation_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Counts one batch."""
        self._count(outputs, batch)

    def on_validation_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Writes the counts of this epoch."""
        self._write(trainer, self.run.epoch_file(EpochFile.CONFUSION, trainer.current_epoch))

    def on_test_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Begins to count."""
        self._start(trainer, pl_module)

    def on_test_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Counts one batch."""
        self._count(outputs, batch)

    def on_test_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Writes the counts of the test split."""
        self._write(trainer, self.run.tested_confusion)


def by_class(counts: Tensor) -> dict[str, list[float | int | None]]:
    """Returns the metrics of each class: its ``images``, ``recall``, ``precision`` and ``f1``, None where undefined.

    Args:
        counts: Confusion matrix (C, C), true classes in rows.
    """
    true, predicted, right = counts.sum(1).tolist(), counts.sum(0).tolist(), counts.diag().tolist()
    rows = list(zip(true, predicted, right, strict=True))
    return {
        "images": true,
        "recall": [hits / images if images else None for images, _, hits in rows],
        "precision": [hits / guesses if guesses else None for _, guesses, hits in rows],
        "f1": [2 * hits / (images + guesses) if images + guesses else None for images, guesses, hits in rows],
    }
