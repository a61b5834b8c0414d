"""Writes some test episodes with the weights that the memory was read and written with, for the report."""

from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor
from torch.nn import functional

from cv_attention.backbones.tracing.eval_mode import eval_mode
from cv_attention.maps import record
from cv_attention.rundir.arrays import write_arrays

_EPISODES = 8  # in the file
_SIDE = 32  # pixels of a thumbnail's longer side at most


class Remembered(Callback):
    """Writes, after the test, its first 8 episodes.

    The arrays of the file, for E episodes of up to T images, S steps and N slots: ``index`` (E,) in the split;
    ``image`` uint8 (E, T, h, w, 3); ``place`` (E, S), the image that a step shows, -1 for none; ``answer`` (E, S), the
    right label, -1 where none is asked for; ``given`` (E, S), the likeliest; ``nth`` (E, S), how often the answer had
    been shown by then, 0 where that means nothing; ``kind``, what the episodes ask for; and with a memory ``read`` and
    ``write``, float16 (E, S, N), the weights of each step, means over the heads.

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
        draws = [(0, index) for index in range(min(_EPISODES, len(split)))]
        batch = {name: values.to(pl_module.device) for name, values in split.batch(draws).items()}
        with torch.no_grad(), eval_mode(pl_module.network):
            recalled, weights = self._watched(pl_module, batch)
        steps = recalled.steps
        arrays = {
            "index": batch["index"], "image": _thumbnails(batch["images"]), "place": steps.place,
            "answer": steps.answer, "given": recalled.logits.argmax(2), "nth": steps.nth, **weights,
        }  # fmt: skip
        found = {name: values.cpu().numpy() for name, values in arrays.items()}
        write_arrays(self.path, {**found, "kind": np.array(pl_module.facts.kind)}, compressed=True)

    @staticmethod
    def _watched(task: Any, batch: dict[str, Tensor]) -> tuple[Any, dict[str, Tensor]]:
        """Returns what is recalled, and the weights (E, S, N) by ``read`` and ``write``; none without a memory."""
        if task.network.head.cell is None:
            return task.recalled(batch), {}
        with record(task.network, only=["head.read", "head.write"]) as maps:
            recalled = task.recalled(batch)
        return recalled, {name: maps[f"head.{name}"].values.mean(1).half() for name in ("read", "write")}


def _thumbnails(images: Tensor) -> Tensor:
    """Returns `images` (E, T, 3, H, W) as uint8 (E, T, h, w, 3)."""
    flat = images.flatten(0, 1).float()
    scale = _SIDE / max(flat.shape[2:])
    if scale < 1:
        flat = functional.interpolate(flat, scale_factor=scale, mode="area")
    return flat.round().byte().permute(0, 2, 3, 1).unflatten(0, images.shape[:2])
