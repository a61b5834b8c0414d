"""Counts in every epoch which classes images have, which they are said to have, and which occur together."""

import math
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from cv_attention.rundir import summary
from cv_attention.rundir.counts.label_counts import MOST_PAIRS_OF, LabelCounts
from cv_attention.rundir.layout import EpochFile, RunLayout

_RANKED = {"map": "average_precision", "auroc": "auroc"}  # metrics that know their value for each class


class LabelCounting(Callback):
    """Writes ``labels/epoch-XXXX.json`` after each validation and ``labels/test.json`` after the test.

    The test's metrics of each class go into ``per_class`` of ``summary.json``. Images of all processes are counted. In
    a validation the thresholds are those that it chose itself, so that its decisions look better than new ones; the
    test shows what they are worth.

    Args:
        run: The run directory.
    """

    def __init__(self, run: Path) -> None:
        self.run = RunLayout(run)
        self._logits: list[Tensor] = []
        self._labels: list[Tensor] = []

    def _keep(self, logits: Tensor, batch: dict[str, Tensor]) -> None:
        self._logits.append(logits.detach())
        self._labels.append(batch["label"])

    def _counts(self, trainer: lightning.Trainer, task: Any) -> LabelCounts | None:
        """Counts the images of all processes; every process must call it."""
        logits, labels = torch.cat(self._logits), torch.cat(self._labels).to(task.exact)
        self._forget()
        decided = task.decide(logits).to(task.exact)
        parts = [labels.sum(0), decided.sum(0), (labels * decided).sum(0), labels.new_tensor([len(labels)])]
        if pairs := labels.shape[1] <= MOST_PAIRS_OF:
            parts += [(labels.T @ labels).triu(1).flatten(), (labels.T @ (decided * (1 - labels))).flatten()]
        flat: Any = trainer.strategy.reduce(torch.cat(parts), reduce_op="sum")
        classes = labels.shape[1]
        true, right_or_not, right, images, *matrices = (
            flat.round().long().cpu().split([classes, classes, classes, 1, *([classes**2] * 2 if pairs else [])])
        )
        if not trainer.is_global_zero:
            return None
        together, mistaken = (_entries(matrix.view(classes, classes)) for matrix in matrices) if pairs else ([], [])
        thresholds = task.thresholds().tolist()
        return LabelCounts(
            int(images), thresholds, true.tolist(), right_or_not.tolist(), right.tolist(), together, mistaken
        )

    def _forget(self) -> None:
        self._logits, self._labels = [], []

    def on_validation_epoch_start(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Begins to count."""
        self._forget()

    def on_validation_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Keeps one batch."""
        self._keep(outputs, batch)

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Writes the counts of this epoch, by the thresholds that it has chosen."""
        if trainer.sanity_checking or not self._logits:
            return
        if counts := self._counts(trainer, pl_module):
            counts.write(self.run.epoch_file(EpochFile.LABELS, trainer.current_epoch))

    def on_test_epoch_start(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Begins to count."""
        self._forget()

    def on_test_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Keeps one batch."""
        self._keep(outputs, batch)

    def on_test_epoch_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Writes the counts of the test split, and its metrics of each class."""
        ranked = {}
        for name, metric in pl_module.metrics["test"].items(keep_base=True):
            if name in _RANKED:
                metric.compute()  # in all processes together
                ranked[_RANKED[name]] = [_plain(value) for value in metric.by_class.tolist()]
        if counts := self._counts(trainer, pl_module):
            counts.write(self.run.tested_labels)
            summary.update(self.run.root, per_class={**of_counts(counts), **ranked})


def of_counts(counts: LabelCounts) -> dict[str, list[float | int | None]]:
    """Returns the metrics of each class that follow from counts; None where a class has no images."""
    rows = list(zip(counts.true, counts.decided, counts.right, strict=True))
    return {
        "images": list(counts.true),
        "threshold": [_plain(value) for value in counts.thresholds],
        "recall": [_share(right, true) for true, _, right in rows],
        "precision": [_share(right, decided) for _, decided, right in rows],
        "f1": [_share(2 * right, true + decided) for true, decided, right in rows],
    }


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _entries(matrix: Tensor) -> list[list[int]]:
    return [[*place, int(matrix[place[0], place[1]])] for place in matrix.nonzero().tolist()]
