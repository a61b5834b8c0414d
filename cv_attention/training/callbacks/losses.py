"""Logs the training loss, and stops training if it is not finite."""

from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, distributed

from cv_attention.rundir.contents import NonFinite
from cv_attention.rundir.layout import RunLayout
from cv_attention.training.callbacks.divergence import Divergence
from cv_attention.training.callbacks.terminal import say
from cv_attention.training.checkpoint import checkpoints
from cv_attention.training.devices.sharding import local
from cv_attention.training.optim.groups import current_rates


class NonFiniteLoss(RuntimeError):
    """Raised by `fit` if the loss or a weight is NaN or infinite; the last checkpoint is from before that.

    A smaller learning rate, gradient clipping or full precision usually helps.
    """


class Losses(Callback):
    """Logs loss and learning rate every ``log_every_n_steps``, and stops training if the loss is NaN or infinite.

    A loss that shows that the training has diverged is warned about once, see `Divergence`.

    After each epoch it logs the mean loss over all images of it as ``train_loss_epoch``, and the task's other figures,
    such as ``train_accuracy``, also where the run was resumed within the epoch.

    Reading a loss makes the host wait for the device. So the losses since the last reading stay on the device, each
    with its step and the indices of its images, and are read together: at every log step, and before every checkpoint,
    so that no checkpoint contains updates after a non-finite loss.

    Args:
        run: The run directory.

    Attributes:
        latest: The most recently read loss.
        epoch: The means of the last epoch, by their logged names.
    """

    def __init__(self, run: Path) -> None:
        self.run = run
        self.latest: float | None = None
        self.epoch: dict[str, float] = {}
        self._divergence: Divergence | None = None
        self._rates: dict[str, float] = {}
        self._since: list[tuple[int, Tensor, Tensor | None]] = []  # step, loss, indices

    def on_before_optimizer_step(self, trainer: lightning.Trainer, pl_module: Any, optimizer: Any) -> None:
        """Notes the learning rates of a step that will be logged; the schedule has changed them when the batch ends."""
        if (trainer.global_step + 1) % trainer.log_every_n_steps == 0:  # pyright: ignore[reportAttributeAccessIssue]
            self._rates = current_rates(optimizer, pl_module.experiment.optimizer)

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stores the loss; logs it when due."""
        accumulated = trainer.accumulate_grad_batches
        if not isinstance(outputs, dict) or "loss" not in outputs:
            raise ValueError(f"{type(pl_module).__name__}.training_step must return the loss")
        indices = batch.get("index") if isinstance(batch, dict) else None
        stepped = (batch_idx + 1) % accumulated == 0 or trainer.is_last_batch
        self._since.append((trainer.global_step - stepped, outputs["loss"], indices))
        interval = trainer.log_every_n_steps  # pyright: ignore[reportAttributeAccessIssue]
        if not stepped or trainer.global_step % interval:
            return
        last, least = self._read(trainer, pl_module)
        self.latest = last * accumulated  # Lightning divides each loss by the number of accumulated batches
        self._log(trainer, {"train_loss": self.latest, **self._rates})
        if watch := self._watch(pl_module):
            _warn(trainer, watch.of_steps(trainer.current_epoch + 1, least * accumulated))

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Logs the epoch's means."""
        means, images = pl_module.epoch_means.compute(trainer)
        pl_module.epoch_means.clear()
        self.epoch = {_logged(name): value for name, value in means.items()} if images else {}
        if images:
            self._log(trainer, self.epoch)
        if images and (watch := self._watch(pl_module)):
            guessing = pl_module.is_guessing(means, images)
            _warn(trainer, watch.of_epoch(trainer.current_epoch + 1, means, guessing=guessing))

    @staticmethod
    def _log(trainer: lightning.Trainer, values: dict[str, float]) -> None:
        for logger in trainer.loggers:
            logger.log_metrics({**values, "epoch": trainer.current_epoch}, step=trainer.global_step - 1)
            logger.save()

    def on_save_checkpoint(self, trainer: lightning.Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Refuses to save weights that are not finite."""
        self._read(trainer, pl_module)
        finite = torch.stack([local(value.detach()).isfinite().all() for value in pl_module.parameters()])
        if self._anywhere(trainer, ~finite):
            raise NonFiniteLoss(f"a weight is not finite after step {trainer.global_step}; {self._advice(pl_module)}")
        checkpoint["epoch_means"] = pl_module.epoch_means.state(trainer)

    def on_load_checkpoint(self, trainer: lightning.Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Restores the sums of an unfinished epoch."""
        if "epoch_means" in checkpoint:
            pl_module.epoch_means.restore(checkpoint["epoch_means"], trainer)

    def _watch(self, pl_module: Any) -> Divergence | None:
        guess = pl_module.guess()
        if self._divergence is None and guess is not None:
            self._divergence = Divergence(guess, pl_module.experiment.optimizer.lr)
        return self._divergence

    def _read(self, trainer: lightning.Trainer, pl_module: Any) -> list[float]:
        """Returns the last and the lowest loss; the only place where the host waits for the device."""
        since, self._since = self._since, []
        losses = torch.stack([loss for _, loss, _ in since]) if since else torch.zeros(1, device=pl_module.device)
        bad = ~torch.isfinite(losses)
        if self._anywhere(trainer, bad):
            first = int(bad.int().argmax()) if bool(bad.any()) else None
            self._stop(trainer, pl_module, None if first is None else since[first])
        return torch.stack([losses[-1], losses.min()]).tolist()

    @staticmethod
    def _anywhere(trainer: lightning.Trainer, bad: Tensor) -> bool:
        """Returns whether any of `bad` is true in any process; all processes must call it."""
        any_bad: Any = bad.any().int()
        return bool(trainer.strategy.reduce(any_bad, reduce_op="max") if trainer.world_size > 1 else any_bad)

    def _stop(self, trainer: lightning.Trainer, task: Any, mine: tuple[int, Tensor, Tensor | None] | None) -> None:
        gathered: list[Any] = [None] * trainer.world_size
        if mine is not None:
            step, loss, indices = mine
            gathered[trainer.global_rank] = (step, float(loss), [] if indices is None else indices.tolist())
        if trainer.world_size > 1:
            distributed.all_gather_object(gathered, gathered[trainer.global_rank])
        bad = [entry for entry in gathered if entry is not None]
        step = min(entry[0] for entry in bad)
        value = next(entry[1] for entry in bad if entry[0] == step)
        images = sorted(index for entry in bad if entry[0] == step for index in entry[2])
        place = RunLayout(self.run).nonfinite
        if trainer.is_global_zero:
            NonFinite(step, trainer.current_epoch, str(value), images).write(place)
        shown = ", ".join(map(str, images[:16])) + (", ..." if len(images) > 16 else "")
        raise NonFiniteLoss(
            f"the loss is {value} at step {step} of epoch {trainer.current_epoch}, on the training images {shown} "
            f"(all of them in {place}); {self._advice(task)}"
        )

    def _advice(self, task: Any) -> str:
        last = RunLayout(self.run).checkpoint("last")
        if not last.is_file():
            return "there is no checkpoint yet; try a lower --optimizer.lr or --trainer.gradient_clip_val 1"
        try:
            step = checkpoints.read(last)["global_step"]
        except (ValueError, KeyError, OSError):
            return f"{last} cannot be read; try a lower --optimizer.lr or --trainer.gradient_clip_val 1"
        return (
            f"the last good checkpoint is {last} of step {step}; try a lower rate or clipped gradients: "
            f"{task.resume_command(self.run, '--trainer.gradient_clip_val 1')}"
        )


def _logged(name: str) -> str:
    """Returns the name that a mean over an epoch is logged under; ``train_loss`` is that of a step."""
    return "train_loss_epoch" if name == "loss" else f"train_{name}"


def _warn(trainer: lightning.Trainer, warning: str | None) -> None:
    if warning and trainer.is_global_zero:
        say(trainer, warning)
