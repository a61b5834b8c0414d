"""Shows a progress bar of images."""

from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from cv_attention.exporting.batches import Batches


class ImageProgress(Callback):
    """Shows the progress of the first process; with several processes, each does about as much.

    Args:
        verb: What is done to the images, in front of the bar.
    """

    _bar: Progress | None = None

    def __init__(self, verb: str) -> None:
        self.verb = verb

    def on_predict_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Opens the bar."""
        batches: Any = trainer.predict_dataloaders
        if trainer.is_global_zero and isinstance(batches, Batches):
            total = sum(len(part.numbers) for part in batches.parts)
            columns = (TextColumn(self.verb), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn())
            self._bar = Progress(*columns, console=Console(stderr=True))
            self._task = self._bar.add_task("images", total=total)
            self._bar.start()

    def on_predict_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Counts a batch."""
        if self._bar is not None:
            self._bar.advance(self._task, outputs)

    def on_predict_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Closes the bar."""
        self._close()

    def on_exception(self, trainer: lightning.Trainer, pl_module: Any, exception: BaseException) -> None:
        """Leaves the terminal as it was."""
        self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.stop()


class _Rate(ProgressColumn):
    """Renders images per second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.0f} images/s", style="progress.data.speed")
