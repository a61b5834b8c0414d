"""Accumulates the epoch's mean training loss and accuracy on the device."""

import math
from typing import Any

import lightning
import torch
from torch import Tensor, distributed


class EpochMeans:
    """Sums loss and correct predictions over the images of an epoch; nothing waits for the device until they are read.

    Where labels are mixed, (B, classes), an image counts with the share of its label that the predicted class has: an
    image that is 70 % cat and 30 % dog and is taken for a cat counts 0.7.

    Args:
        dtype: Of the sums.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype
        self.images = 0
        self._sums: Tensor | None = None  # of the loss, of the correct predictions

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Adds a batch: its mean loss (), logits (B, classes), and labels (B,) or (B, classes)."""
        if self._sums is None or self._sums.device != logits.device:
            before = (0.0, 0.0) if self._sums is None else self._sums
            self._sums = torch.as_tensor(before, dtype=self.dtype, device=logits.device)
        with torch.no_grad():
            predicted = logits.detach().argmax(1)
            mixed = labels.ndim == 2
            correct = labels.gather(1, predicted[:, None]).sum() if mixed else (predicted == labels).sum()
            self._sums[0].add_(loss.detach(), alpha=len(logits))
            self._sums[1].add_(correct)
        self.images += len(logits)

    def clear(self) -> None:
        """Forgets everything, for the next epoch."""
        self.images, self._sums = 0, None

    def compute(self, trainer: lightning.Trainer) -> tuple[float, float, int]:
        """Returns the mean loss, the accuracy, and the number of images, over all processes; NaN without images."""
        loss, correct, images = (sum(column) for column in zip(*self._parts(trainer), strict=True))
        return (loss / images, correct / images, int(images)) if images else (math.nan, math.nan, 0)

    def state(self, trainer: lightning.Trainer) -> list[list[float]]:
        """Returns the sums of every process, plain, for a checkpoint."""
        return [list(part) for part in self._parts(trainer)]

    def restore(self, state: list[list[float]], trainer: lightning.Trainer) -> None:
        """Takes up what `state` returned, also with another number of processes than before."""
        if len(state) == trainer.world_size:
            loss, correct, images = state[trainer.global_rank]
        else:
            loss, correct, images = (sum(column) * (trainer.global_rank == 0) for column in zip(*state, strict=True))
        self.images, self._sums = int(images), torch.tensor([loss, correct], dtype=self.dtype)

    def _parts(self, trainer: lightning.Trainer) -> list[tuple[float, float, int]]:
        """Gathers (loss, correct, images) of every process; the host waits for the device here."""
        loss, correct = (0.0, 0.0) if self._sums is None else self._sums.tolist()
        parts: list[Any] = [(loss, correct, self.images)]
        if trainer.world_size > 1:
            parts = parts * trainer.world_size
            distributed.all_gather_object(parts, (loss, correct, self.images))
        return parts
