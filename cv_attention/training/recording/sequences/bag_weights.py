"""Writes the images of some test bags with their attention weights, for the report."""

from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from torch.nn import functional

from cv_attention.rundir.arrays import write_arrays
from cv_attention.training.recording.probes import spread_over_classes

_BAGS = 16  # bags in the file
_MOST = 48  # images of a bag: those of the largest weights
_SIDE = 64  # pixels of a thumbnail's longer side at most


class BagWeights(Callback):
    """Writes, after the test, the images of 16 test bags, the heaviest first.

    The arrays of the file, for N bags and M images: ``name``, ``label``, ``predicted`` and ``probability`` of the
    predicted class, (N,); ``size`` (N,), the images that the bag has; ``starts`` (N + 1,), where each bag begins among
    the images; ``image`` uint8 (M, h, w, 3); ``weight`` (M,), their share of the bag's weight; ``key`` (M,), 1 for
    images that make a bag positive, 0 for others, -1 where that is unknown; and ``class_names``. Of bags with more than
    48 images, the heaviest are written.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_test_epoch_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Writes the file, in one process only."""
        if not trainer.is_global_zero:
            return
        split = trainer.datamodule.splits["test"]  # pyright: ignore[reportAttributeAccessIssue]
        bags = [self._bag(split, index, pl_module) for index in spread_over_classes(split.images.labels, _BAGS)]
        columns = {name: np.array([bag[name] for bag in bags]) for name in ("name", "label", "predicted", "size")}
        arrays = {
            **columns,
            "probability": np.array([bag["probability"] for bag in bags], np.float32),
            "starts": np.cumsum([0, *(len(bag["weight"]) for bag in bags)]),
            **{name: np.concatenate([bag[name] for bag in bags]) for name in ("image", "weight", "key")},
            "class_names": np.array(pl_module.facts.class_names),
        }
        write_arrays(self.path, arrays, compressed=True)

    @staticmethod
    def _bag(split: Any, index: int, task: Any) -> dict[str, Any]:
        batch = {name: values.to(task.device) for name, values in split.batch([(0, index)]).items()}
        with torch.no_grad():
            probabilities = task(batch).float().softmax(1)[0]
        weights = task.weights(batch)[0]
        heaviest = weights.argsort(descending=True)[:_MOST]
        images = batch["image"][0][heaviest].float()
        scale = _SIDE / max(images.shape[2:])
        if scale < 1:
            images = functional.interpolate(images, scale_factor=scale, mode="area")
        key = batch["key"][0][heaviest].long() if "key" in batch else torch.full_like(heaviest, -1)
        return {
            "name": split.images.short_name(index), "label": int(split.images.labels[index]), "size": len(weights),
            "predicted": int(probabilities.argmax()), "probability": float(probabilities.max()),
            "image": images.round().byte().permute(0, 2, 3, 1).cpu().numpy(),
            "weight": weights[heaviest].cpu().numpy().astype(np.float32), "key": key.cpu().numpy().astype(np.int8),
        }  # fmt: skip
