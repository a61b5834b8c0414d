"""Measures images per second, and the fraction of time spent waiting for data."""

import os
from statistics import median
from time import perf_counter
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback

from cv_attention.config import Data
from cv_attention.training.callbacks.terminal import say

_TOO_MUCH = 0.1  # fraction of waiting above which advice is printed


class Throughput(Callback):
    """Measures each training epoch, including loading but not validation and recording.

    Prints advice after the first epoch if more than a tenth of it was spent waiting for images.

    Args:
        data: The data's part of the configuration.

    Attributes:
        rates: Images per second of each epoch, over all processes.
        waiting: Fraction of each epoch that this process waited for its next batch, in [0, 1].
    """

    def __init__(self, data: Data) -> None:
        self.data = data
        self.rates: list[float] = []
        self.waiting: list[float] = []
        self._start_epoch()

    @property
    def images_per_second(self) -> float | None:
        """The median over the epochs; None before the first has ended."""
        return round(median(self.rates), 1) if self.rates else None

    @property
    def waiting_share(self) -> float | None:
        """The median over the epochs; None before the first has ended."""
        return round(median(self.waiting), 4) if self.waiting else None

    def state_dict(self) -> dict[str, list[float]]:
        """Returns the rates and waiting fractions of the epochs so far, for resuming."""
        return {"rates": self.rates, "waiting": self.waiting}

    def load_state_dict(self, state_dict: dict[str, list[float]]) -> None:
        """Restores what `state_dict` returned."""
        self.rates, self.waiting = list(state_dict["rates"]), list(state_dict["waiting"])

    def now(self) -> dict[str, str]:
        """Returns the progress bar's metrics of the current epoch: images per second, fraction of waiting."""
        seconds = self._seconds + perf_counter() - self._since
        if not self._images or seconds <= 0:
            return {}
        return {"images/s": f"{self._images / seconds:.0f}", "waiting": f"{self._waited / seconds:.0%}"}

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Starts the clock if a run is resumed in the middle of an epoch."""
        self._start_epoch()

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Starts the clock."""
        self._start_epoch()

    def on_train_batch_start(self, trainer: lightning.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Adds the time since the end of the last batch."""
        self._waited += perf_counter() - self._ended

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Counts images."""
        self._images += len(batch["images"] if "images" in batch else batch["image"]) * trainer.world_size
        self._ended = perf_counter()

    def on_validation_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Stops the clock."""
        self._seconds += perf_counter() - self._since

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Restarts the clock; nothing of the epoch remains unless it is validated in between."""
        self._since = self._ended = perf_counter()

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Records the epoch's rate."""
        self._seconds += perf_counter() - self._since
        if not self._images or self._seconds <= 0:
            return
        self.rates.append(self._images / self._seconds)
        self.waiting.append(self._waited / self._seconds)
        if len(self.waiting) == 1 and self.waiting[0] > _TOO_MUCH and trainer.is_global_zero:
            datamodule: Any = trainer.datamodule  # pyright: ignore[reportAttributeAccessIssue]
            say(trainer, advice(self.data, self.waiting[0], resident=datamodule.splits["train"].resident))

    def _start_epoch(self) -> None:
        self._images, self._seconds, self._waited = 0, 0.0, 0.0
        self._since = self._ended = perf_counter()


def advice(data: Data, share: float, *, resident: bool, cores: int | None = None) -> str:
    """Suggests what to change if training waits for its images.

    Args:
        data: The data's part of the configuration.
        share: Fraction of the time spent waiting, in [0, 1].
        resident: Whether the images are augmented in memory as whole batches.
        cores: Number of processor cores available for loading; None counts them.
    """
    cores = cores or os.cpu_count() or 1
    waiting = f"{share:.0%} of the time was spent waiting for images: "
    if resident:
        return waiting + "fewer or cheaper steps in data.train_transforms would help; the images are in memory already"
    ways = []
    if data.workers < cores - 1:
        ways.append(f"--data.workers {cores - 1} (now {data.workers}, {cores} cores)")
    if data.name == "folder" and data.cache is None:
        ways.append("--data.cache 256 (decode once; choose a little more than the training size)")
    ways.append("fewer or cheaper steps in data.train_transforms")
    return waiting + "try " + "; or ".join(ways)
