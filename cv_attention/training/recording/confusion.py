"""Counts the confusion matrix of every epoch."""

import json
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback
from torch import Tensor
from torchmetrics.classification import MulticlassConfusionMatrix

from cv_attention.rundir.files import write_text

_MOST_CLASSES = 2000  # the size of the matrix is quadratic in their number


class Confusion(Callback):
    """Writes ``confusion/epoch-XXXX.json`` after each validation and ``confusion/test.json`` after the test.

    Each holds ``classes``, the number of classes, and ``counts``, the non-zero entries [true, predicted, images].
    Images of all processes are counted. Nothing is written for more than 2,000 classes.

    Args:
        run: The run directory.
    """

    def __init__(self, run: Path) -> None:
        self.folder = run / "confusion"
        self.matrix: MulticlassConfusionMatrix | None = None

    def _start(self, trainer: lightning.Trainer, module: Any) -> None:
        classes = len(module.facts.class_names)
        wanted = not trainer.sanity_checking and classes <= _MOST_CLASSES
        self.matrix = MulticlassConfusionMatrix(classes).to(module.device) if wanted else None

    def _count(self, logits: Any, batch: dict[str, Tensor]) -> None:
        if self.matrix is not None:
            self.matrix.update(logits.argmax(1), batch["label"])

    def _write(self, trainer: lightning.Trainer, name: str) -> None:
        if self.matrix is None:
            return
        counts = self.matrix.compute().cpu()
        if trainer.is_global_zero:
            places = counts.nonzero().tolist()
            entries = [[*place, int(counts[place[0], place[1]])] for place in places]
            write_text(self.folder / f"{name}.json", json.dumps({"classes": len(counts), "counts": entries}))

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
        self._write(trainer, f"epoch-{trainer.current_epoch:04d}")

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
        self._write(trainer, "test")
