"""Decides when checkpoints are written: after every epoch, inside long ones, and on interruption."""

import os
import sys
import time
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import Checkpoint

from cv_attention.config import Log
from cv_attention.rundir.layout import RunLayout
from cv_attention.training.checkpoint import checkpoints
from cv_attention.training.stopping.interruption import Interruption, Terminated
from cv_attention.training.tasks.selection import Criterion

# Lightning's loop state of a validation that has not started. Stored in checkpoints written during validation:
# the network has not changed since validation started, so a resumed run repeats all of it.
_UNTOUCHED = {"ready": 1, "started": 1, "processed": 0, "completed": 0}


class NotWritten(OSError):
    """Raised by `fit` if a checkpoint could not be written, such as on a full disk; earlier ones are unharmed."""


class Checkpoints(Checkpoint):
    """Writes ``best.ckpt`` by the task's criterion, and ``last.ckpt`` to resume from.

    Which of the two is tested is decided at the end, by `selection.select`.

    Only complete optimizer steps are saved. A signal takes effect after the current step or validation batch.

    Args:
        run: The run directory.
        log: How often checkpoints are written inside an epoch.

    Attributes:
        best: The best validation figure of all epochs, by the task's `Criterion`; None before any.
        latest: That of the last epoch that was validated.
        interruption: Hears the signals that end the training.
    """

    def __init__(self, run: Path, log: Log) -> None:
        self.run = run
        self.every_minutes, self.every_n_steps = log.checkpoint_every_minutes, log.checkpoint_every_n_steps
        self.best: float | None = None
        self.latest: float | None = None
        self.interruption = Interruption()
        self._metric: str | None = None  # of the two figures; None where unknown
        self._before, self._start = 0.0, time.monotonic()
        self._saved, self._stepped, self._validated = time.monotonic(), 0, False

    @property
    def seconds(self) -> float:
        """Returns the seconds trained so far, over all parts of the run up to their last checkpoints."""
        return self._before + time.monotonic() - self._start

    def state_dict(self) -> dict[str, Any]:
        """Returns the best and the latest validation figure, their metric, and the seconds trained."""
        return {"best": self.best, "latest": self.latest, "seconds": self.seconds, "metric": self._metric}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores what `state_dict` returned."""
        self.best, self._before = state_dict["best"], state_dict["seconds"]
        self.latest = state_dict.get("latest", self.best)  # missing in checkpoints of the first versions
        self._metric = state_dict.get("metric")

    def take_over(self) -> None:
        """Restores from ``last.ckpt`` the state of the processes that this one started, which have trained for it."""
        path = self.run / "checkpoints" / checkpoints.LAST
        if path.is_file():
            content = checkpoints.verified(path)
            self.load_state_dict(content["callbacks"][self.state_key])
            self._start = time.monotonic()

    def setup(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str) -> None:
        """Broadcasts the run directory of the first process."""
        self.run = Path(trainer.strategy.broadcast(str(self.run)))

    def on_train_start(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Starts the clocks."""
        if self._metric not in (None, pl_module.criterion.metric):  # trainer.monitor has changed
            self.best = self.latest = None
        self._metric = pl_module.criterion.metric
        self._compare_with_file(trainer, pl_module.criterion)
        self.interruption.listen()
        self._start = self._saved = time.monotonic()
        self._stepped = trainer.global_step

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Saves where that is due, or a signal asks for it."""
        stepped, self._stepped = trainer.global_step > self._stepped, trainer.global_step
        if not stepped or trainer.is_last_batch:  # accumulating gradients, or about to end the epoch
            return
        minutes, steps = self.every_minutes, self.every_n_steps
        late = minutes is not None and time.monotonic() - self._saved >= 60 * minutes
        signal, due = self.interruption.agree(late)
        if signal or due or (steps and trainer.global_step % steps == 0):
            self._save_last(trainer)
        self._obey(trainer, signal)

    def on_validation_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Saves and stops where a signal asks for it."""
        signal, _ = self.interruption.agree()
        if signal and not trainer.sanity_checking:
            self._save_last(trainer)
            self._obey(trainer, signal)

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Notes that there has been a validation."""
        self._validated = self._validated or not trainer.sanity_checking

    def on_save_checkpoint(self, trainer: lightning.Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Stores an unfinished validation as one that has not begun."""
        if trainer.validating:
            progress = {"total": dict(_UNTOUCHED), "current": dict(_UNTOUCHED), "is_last_batch": False}
            checkpoint["loops"]["fit_loop"]["epoch_loop.val_loop.batch_progress"] = progress

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Saves the epoch, and as the best one if it is."""
        criterion = pl_module.criterion
        figure = trainer.callback_metrics.get(name := f"val_{criterion.metric}")
        if figure is None and self._validated:
            logged = ", ".join(key for key in trainer.callback_metrics if key.startswith("val_")) or "nothing"
            task = type(pl_module).__name__
            raise ValueError(f"the validation of {task} must log {name}, which its criterion names; it logged {logged}")
        if figure is not None:
            self.latest = float(figure)
            if self.best is None or criterion.is_better(self.latest, self.best):
                self.best = self.latest
                self._save(trainer, "best")
        self._save_last(trainer)
        self._obey(trainer, self.interruption.agree()[0])

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Handles a signal that arrived last; what follows needs no checkpoint, so signals then end it at once."""
        signal, _ = self.interruption.agree(at_once=True)
        self.interruption.stop_listening()
        self._obey(trainer, signal)

    def teardown(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str) -> None:
        """Restores the signals' handlers."""
        self.interruption.stop_listening()

    def _compare_with_file(self, trainer: lightning.Trainer, criterion: Criterion) -> None:
        """Corrects the best figure to that of ``best.ckpt``, which is the last epoch's where a finished run goes on.

        If it is damaged, the best of the coming epochs replaces it; every process checks this itself.
        """
        path = RunLayout(self.run).checkpoint("best")
        if self.best is None or not os.path.lexists(path):
            return
        try:
            content = checkpoints.verified(path)
            figure = content["callbacks"].get(self.state_key, {}).get("latest")
            self.best = self.best if figure is None else criterion.worse_of(self.best, figure)
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            self.best = None
            if trainer.is_global_zero:
                reason = error if isinstance(error, ValueError) else f"{path} is not a checkpoint of this run"
                print(f"resume: {reason}; the best of the coming epochs will replace it", file=sys.stderr, flush=True)

    def _save_last(self, trainer: lightning.Trainer) -> None:
        self._save(trainer, "last")
        self._saved = time.monotonic()

    def _save(self, trainer: lightning.Trainer, name: str) -> None:
        """Saves in all processes or in none: a process waiting for the writer would never learn of its failure."""
        path, failure = RunLayout(self.run).checkpoint(name), None
        try:
            trainer.save_checkpoint(path)
        except OSError as error:  # in the writing process only
            failure = f"{path} could not be written: {error.strerror or error}"
            trainer.strategy.barrier("Trainer.save_checkpoint")
        failure = trainer.strategy.broadcast(failure)
        if failure is not None:
            raise NotWritten(failure)

    def _obey(self, trainer: lightning.Trainer, signal: int) -> None:
        if signal:
            task: Any = trainer.lightning_module
            words = f" after step {trainer.global_step}; resume with: {task.resume_command(self.run)}"
            stop = Terminated(signal, words if trainer.is_global_zero else "")
            if stop.words and stop.signal != "SIGINT":  # for Ctrl-C, the KeyboardInterrupt reports it
                print(f"stopped by {stop.signal}{words}", file=sys.stderr, flush=True)
            raise stop
