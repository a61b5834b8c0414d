"""What a person sees of a training while it runs: a bar in a terminal, a line for each epoch elsewhere."""

from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback, RichProgressBar

from cv_attention.training.losses import Losses
from cv_attention.training.throughput import Throughput


class ProgressBar(RichProgressBar):
    """Lightning's, with the latest loss that was read, images per second, and the share of time waiting for images.

    Args:
        losses: Who reads the loss.
        throughput: Who measures the rest.
    """

    def __init__(self, losses: Losses, throughput: Throughput) -> None:
        super().__init__()
        self._losses, self._throughput = losses, throughput

    def get_metrics(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> dict[str, Any]:
        """Returns what the bar shows behind it."""
        shown = super().get_metrics(trainer, pl_module)
        loss = {} if self._losses.latest is None else {"train_loss": self._losses.latest}
        return {**loss, **self._throughput.now(), **{name: value for name, value in shown.items() if name != "v_num"}}

    def _get_train_description(self, current_epoch: int) -> str:
        """Counts epochs from 1, as the report does; Lightning counts from 0."""
        shown = f"Epoch {current_epoch + 1}/{self.trainer.max_epochs}"
        return shown.ljust(len(self.validation_description))  # two widths would flicker


class EpochLines(Callback):
    """Prints one line at the end of each epoch, for files that standard output goes to.

    Args:
        losses: Who reads the loss.
        throughput: Who measures images per second.
    """

    def __init__(self, losses: Losses, throughput: Throughput) -> None:
        self._losses, self._throughput = losses, throughput

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Prints the line, in one process."""
        said = []
        if self._losses.latest is not None:
            said.append(f"train loss {self._losses.latest:.4f}")
        if (accuracy := trainer.callback_metrics.get("val_accuracy")) is not None:
            said.append(f"val accuracy {float(accuracy):.4f}")
        if self._throughput.rates:
            said.append(f"{self._throughput.rates[-1]:,.0f} images/s")
        if trainer.is_global_zero:
            print(f"epoch {trainer.current_epoch + 1} of {trainer.max_epochs}: {', '.join(said)}", flush=True)
