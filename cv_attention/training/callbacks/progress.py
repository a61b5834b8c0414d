"""Prints a line for each epoch, and a progress bar in a terminal."""

import time
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback, RichProgressBar

from cv_attention.training.callbacks.losses import Losses
from cv_attention.training.callbacks.terminal import duration, say
from cv_attention.training.callbacks.throughput import Throughput


class ProgressBar(RichProgressBar):
    """Extends Lightning's bar with the latest loss, images per second, and the fraction of time waiting for images.

    Args:
        losses: The callback that reads the loss.
        throughput: The callback that measures the rest.
    """

    def __init__(self, losses: Losses, throughput: Throughput) -> None:
        super().__init__()
        self._losses, self._throughput = losses, throughput

    def get_metrics(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> dict[str, Any]:
        """Returns the metrics shown after the bar."""
        shown = super().get_metrics(trainer, pl_module)
        loss = {} if self._losses.latest is None else {"train_loss": self._losses.latest}
        return {**loss, **self._throughput.now(), **{name: value for name, value in shown.items() if name != "v_num"}}

    def _get_train_description(self, current_epoch: int) -> str:
        """Counts epochs from 1, as the report does; Lightning counts from 0."""
        shown = f"Epoch {current_epoch + 1}/{self.trainer.max_epochs}"
        return shown.ljust(len(self.validation_description))  # a changing width would flicker


class EpochLines(Callback):
    """Prints one line at the end of each epoch; it stays above a progress bar.

    Args:
        losses: Who computes the epoch's training loss and figures.
        throughput: Who measures images per second.
    """

    def __init__(self, losses: Losses, throughput: Throughput) -> None:
        self._losses, self._throughput = losses, throughput
        self._start, self._validated = time.monotonic(), False

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Starts the clock."""
        self._start = time.monotonic()

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Discards the previous validation, whose metrics Lightning keeps."""
        self._validated = False

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Records that this epoch was validated."""
        self._validated = True

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Prints the line, in one process."""
        values = {**self._losses.epoch, **(trainer.callback_metrics if self._validated else {})}
        shown = [f"{words} {float(values[name]):.4f}" for name, words in _shown(pl_module).items() if name in values]
        if self._throughput.rates:
            shown.append(f"{self._throughput.rates[-1]:,.0f} images/s")
        now = time.monotonic()
        shown.append(duration(now - self._start))
        self._start = now
        if trainer.is_global_zero:
            say(trainer, f"epoch {trainer.current_epoch + 1} of {trainer.max_epochs}: {', '.join(shown)}")


def _shown(task: Any) -> dict[str, str]:
    """Names the metrics of an epoch's line, in their order, and what they are called there."""
    names = ["train_loss_epoch", *(f"train_{name}" for name in task.train_figures)]
    names += ["val_loss", f"val_{task.criterion.metric}"]
    return {name: name.removesuffix("_epoch").replace("_", " ") for name in names}
