"""Stores the predictions for every test image in one NumPy file."""

from pathlib import Path
from typing import Any

import lightning
import numpy as np
from lightning.pytorch.callbacks import Callback
from torch import distributed

from cv_attention.recording.counts import prediction_arrays
from cv_attention.recording.tested import columns_of
from cv_attention.rundir.arrays import write_arrays


class Predictions(Callback):
    """Writes every test image's prediction once the split has been tested, in the order of the data set.

    The arrays of the file, for N images: ``index`` in the split, ``name`` (folder and file, name in the archive, or
    row), ``label``, ``predicted``, ``probability`` of the true class, ``loss`` (their mean is the test loss),
    ``top_classes`` (N, 5) and ``top_probabilities`` (N, 5) of the five most probable classes (of all where there are
    fewer), and ``class_names``. Images of all processes are in it, each once.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._batches: list[dict[str, np.ndarray]] = []

    def on_test_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Begins to collect."""
        self._batches = []

    def on_test_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Keeps the predictions of one batch."""
        labels = batch["label"]
        self._batches.append(columns_of(batch["index"], outputs, labels, pl_module.losses(outputs, labels)))

    def on_test_epoch_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Writes the file, in one process."""
        batches, self._batches = self._batches, []
        if trainer.world_size > 1:
            parts: list[Any] = [None] * trainer.world_size
            distributed.all_gather_object(parts, batches)
            batches = [batch for part in parts for batch in part]
        if trainer.is_global_zero and batches:
            columns = {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
            split = trainer.datamodule.splits["test"]  # pyright: ignore[reportAttributeAccessIssue]
            names = [split.images.short_name(int(number)) for number in np.unique(columns["index"])]
            arrays = prediction_arrays(columns, names, pl_module.facts.class_names)
            write_arrays(self.path, arrays, compressed=True)
