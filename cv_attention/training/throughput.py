"""How many images a second the training takes."""

from statistics import median
from time import perf_counter
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback


class Throughput(Callback):
    """Measures each epoch of training, loading included, validation and what is recorded left out.

    Attributes:
        rates: Images per second of each epoch, over all processes.
    """

    def __init__(self) -> None:
        self.rates: list[float] = []
        self._images, self._seconds, self._since = 0, 0.0, 0.0

    @property
    def images_per_second(self) -> float | None:
        """The median over the epochs; None before the first has ended."""
        return round(median(self.rates), 1) if self.rates else None

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Starts the clock for an epoch that a resumed run begins in the middle."""
        self._since = perf_counter()

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Starts the clock."""
        self._images, self._seconds, self._since = 0, 0.0, perf_counter()

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Counts images."""
        self._images += len(batch["image"]) * trainer.world_size

    def on_validation_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Halts the clock."""
        self._seconds += perf_counter() - self._since

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Lets the clock go on; what remains of the epoch is nothing, unless it is validated in between."""
        self._since = perf_counter()

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Takes the epoch's rate."""
        self._seconds += perf_counter() - self._since
        if self._images and self._seconds > 0:
            self.rates.append(self._images / self._seconds)
