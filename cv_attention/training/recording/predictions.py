"""Stores the predictions for all test images in one NumPy file."""

import io
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, distributed

from cv_attention.rundir.files import write_bytes

NAME = "predictions.npz"
_TOP = 5  # classes whose probabilities are kept


class Predictions(Callback):
    """Writes the predictions of all test images after testing, in the order of the data set.

    The arrays of the file, for N images: ``index`` in the split, ``name`` (folder and file, name in the archive, or
    row), ``label``, ``predicted``, ``probability`` of the true class, ``loss`` (their mean is the test loss),
    ``top_classes`` (N, 5) and ``top_probabilities`` (N, 5) of the five most probable classes (of all if there are
    fewer), and ``class_names``. It includes the images of all processes, each once.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._batches: list[dict[str, Tensor]] = []

    def on_test_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Starts collecting."""
        self._batches = []

    def on_test_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Stores the predictions of one batch."""
        labels, probabilities = batch["label"], outputs.softmax(1)
        best = probabilities.topk(min(_TOP, probabilities.shape[1]), dim=1)
        kept = {
            "index": batch["index"],
            "label": labels,
            "predicted": outputs.argmax(1),
            "probability": probabilities.gather(1, labels[:, None])[:, 0].float(),
            "loss": pl_module.losses(outputs, labels).float(),
            "top_classes": best.indices.int(),
            "top_probabilities": best.values.half(),
        }
        self._batches.append({name: values.cpu() for name, values in kept.items()})

    def on_test_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Writes the file, in one process only."""
        batches, self._batches = self._batches, []
        if trainer.world_size > 1:
            parts: list[Any] = [None] * trainer.world_size
            distributed.all_gather_object(parts, batches)
            batches = [batch for part in parts for batch in part]
        if trainer.is_global_zero and batches:
            arrays = {name: torch.cat([batch[name] for batch in batches]).numpy() for name in batches[0]}
            split = trainer.datamodule.splits["test"]  # pyright: ignore[reportAttributeAccessIssue]
            self._write(arrays, split.images, pl_module)

    def _write(self, arrays: dict[str, np.ndarray], images: Any, pl_module: Any) -> None:
        index, order = np.unique(arrays["index"], return_index=True)  # sorted; each image once
        names = np.array([images.short_name(int(number)) for number in index])
        buffer = io.BytesIO()
        class_names = np.array(pl_module.facts.class_names)
        arrays = {name: values[order] for name, values in arrays.items()}
        np.savez_compressed(buffer, **{"name": names, "class_names": class_names, **arrays})  # pyright: ignore[reportArgumentType]
        write_bytes(self.path, buffer.getvalue())
