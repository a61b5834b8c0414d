"""Stores what was predicted for all test images that have several classes, or numbers, in one NumPy file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning
import numpy as np
from lightning.pytorch.callbacks import Callback
from numpy.typing import NDArray
from torch import Tensor, distributed

from cv_attention.rundir.arrays import write_arrays


class RowPredictions(Callback):
    """Writes a row for each test image after testing, in the order of the data set.

    It includes the images of all processes, each once. A subclass says what a row holds.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._batches: list[dict[str, np.ndarray]] = []

    def columns(self, task: Any, outputs: Tensor, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Returns the arrays of one batch, each with a row for each image."""
        raise NotImplementedError

    def constants(self, task: Any) -> dict[str, NDArray[Any]]:
        """Returns the arrays that are the same for all images."""
        raise NotImplementedError

    def on_test_epoch_start(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Starts collecting."""
        self._batches = []

    def on_test_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Keeps the predictions of one batch."""
        found = {"index": batch["index"], **self.columns(pl_module, outputs, batch)}
        self._batches.append({name: values.cpu().numpy() for name, values in found.items()})

    def on_test_epoch_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Writes the file, in one process only."""
        batches, self._batches = self._batches, []
        if trainer.world_size > 1:
            parts: list[Any] = [None] * trainer.world_size
            distributed.all_gather_object(parts, batches)
            batches = [batch for part in parts for batch in part]
        if not trainer.is_global_zero or not batches:
            return
        columns = {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
        index, order = np.unique(columns["index"], return_index=True)
        images = trainer.datamodule.splits["test"].images  # pyright: ignore[reportAttributeAccessIssue]
        names = np.array([images.short_name(int(number)) for number in index])
        rows = {name: values[order] for name, values in columns.items()}
        write_arrays(self.path, {"name": names, **rows, **self.constants(pl_module)}, compressed=True)


class LabelPredictions(RowPredictions):
    """Writes the predictions for images that may have several classes.

    The arrays of the file, for N images and C classes: ``index`` in the split, ``name``, ``labels`` uint8 (N, C),
    ``probabilities`` float32 (N, C), ``decided`` uint8 (N, C) by the thresholds, ``loss``, ``thresholds`` (C,) and
    ``class_names``.
    """

    def columns(self, task: Any, outputs: Tensor, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Returns labels, probabilities, decisions and losses."""
        labels = batch["label"]
        return {
            "labels": labels.byte(),
            "probabilities": outputs.sigmoid().float(),
            "decided": task.decide(outputs).byte(),
            "loss": task.losses(outputs, labels).float(),
        }

    def constants(self, task: Any) -> dict[str, NDArray[Any]]:
        """Returns the thresholds and the names of the classes."""
        return {"thresholds": task.thresholds().cpu().numpy(), "class_names": np.array(task.facts.class_names)}


class ValuePredictions(RowPredictions):
    """Writes the numbers predicted for test images.

    The arrays of the file, for N images and V numbers: ``index`` in the split, ``name``, ``true`` and ``predicted``
    float32 (N, V), ``loss``, and ``value_names``.
    """

    def columns(self, task: Any, outputs: Tensor, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Returns true and predicted numbers, and losses."""
        true = batch["label"]
        losses = task.losses(outputs, true.to(outputs.dtype))
        return {"true": true.float(), "predicted": outputs.float(), "loss": losses.float()}

    def constants(self, task: Any) -> dict[str, NDArray[Any]]:
        """Returns the names of the numbers."""
        return {"value_names": np.array(task.facts.value_names)}
