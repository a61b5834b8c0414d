"""Accumulates the means of an epoch's training images on the device: the loss, and what else a task counts."""

import math
from collections.abc import Sequence
from typing import Any

import lightning
import torch
from torch import Tensor, distributed


class EpochMeans:
    """Sums the loss and further figures over the images of an epoch; nothing waits for the device until they are read.

    Args:
        figures: Names of the figures in addition to the loss, such as ``accuracy``.
        dtype: Of the sums.
    """

    def __init__(self, figures: Sequence[str], dtype: torch.dtype) -> None:
        self.names = ("loss", *figures)
        self.dtype = dtype
        self.images = 0
        self._sums: Tensor | None = None  # in the order of the names

    def add(self, images: int, loss: Tensor, **sums: Tensor) -> None:
        """Adds a batch.

        Args:
            images: Number of its images.
            loss: Its mean loss ().
            sums: The sum () of each further figure over its images, such as the number of correct predictions.

        Raises:
            ValueError: if a figure is missing, or has another name.
        """
        if sums.keys() != set(self.names[1:]):
            named = ", ".join(self.names[1:]) or "no figures"
            raise ValueError(f"train_figures names {named}, but epoch_means.add got {', '.join(sums) or 'none'}")
        if self._sums is None or self._sums.device != loss.device:
            before = (0.0,) * len(self.names) if self._sums is None else self._sums
            self._sums = torch.as_tensor(before, dtype=self.dtype, device=loss.device)
        with torch.no_grad():
            self._sums[0].add_(loss.detach(), alpha=images)
            for place, name in enumerate(self.names[1:], 1):
                self._sums[place].add_(sums[name].detach())
        self.images += images

    def clear(self) -> None:
        """Forgets everything, for the next epoch."""
        self.images, self._sums = 0, None

    def compute(self, trainer: lightning.Trainer) -> tuple[dict[str, float], int]:
        """Returns the means by name and the number of images, over all processes; NaN without images."""
        *sums, images = (sum(column) for column in zip(*self._parts(trainer), strict=True))
        means = [total / images if images else math.nan for total in sums]
        return dict(zip(self.names, means, strict=True)), int(images)

    def state(self, trainer: lightning.Trainer) -> list[list[float]]:
        """Returns the sums and the number of images of every process, plain, for a checkpoint."""
        return [list(part) for part in self._parts(trainer)]

    def restore(self, state: list[list[float]], trainer: lightning.Trainer) -> None:
        """Takes up what `state` returned, also with another number of processes than before."""
        if len(state) == trainer.world_size:
            *sums, images = state[trainer.global_rank]
        else:
            *sums, images = (sum(column) * (trainer.global_rank == 0) for column in zip(*state, strict=True))
        self.images, self._sums = int(images), torch.tensor(sums, dtype=self.dtype)

    def _parts(self, trainer: lightning.Trainer) -> list[tuple[float, ...]]:
        """Gathers the sums and the number of images of every process; the host waits for the device here."""
        sums = [0.0] * len(self.names) if self._sums is None else self._sums.tolist()
        parts: list[Any] = [(*sums, self.images)]
        if trainer.world_size > 1:
            parts = parts * trainer.world_size
            distributed.all_gather_object(parts, (*sums, self.images))
        return parts
