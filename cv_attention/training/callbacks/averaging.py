"""Averages the weights exponentially (EMA, by timm) and validates, tests and saves the average."""

from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.trainer.states import TrainerFn
from timm.utils import ModelEmaV3
from torch import distributed, nn

_PREFIX = "network."


class MovingAverage(Callback):
    """Averages weights and batch norm statistics after every optimizer step: average = d * average + (1 - d) * weights.

    The decay d rises with the steps, 1 - (1 + step)^(-2/3), up to `decay`, so that the average forgets the initial
    random weights even in a short training run. It starts as the weights of the first step, so that validation is
    valid at any time. Checkpoints hold the average as their weights, along with the state needed to resume training.
    Averaging happens only in `fit`: a checkpoint that is only tested or validated is used as it is.

    Args:
        decay: Highest decay, in (0, 1).
    """

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.average: ModelEmaV3 | None = None
        self.trained: nn.Module | None = None  # while the average takes its place
        self._step = 0

    def setup(self, trainer: lightning.Trainer, pl_module: Any, stage: str) -> None:
        """Copies the network before a checkpoint is loaded."""
        if stage == "fit":
            self.average = ModelEmaV3(pl_module.network, decay=self.decay, use_warmup=True)

    def on_fit_start(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Moves the average to the device."""
        assert self.average is not None
        self.average.to(pl_module.device)
        self._step = trainer.global_step

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Updates the average if the optimizer has made a step."""
        if trainer.global_step > self._step:
            assert self.average is not None
            self._step = trainer.global_step
            self.average.update(pl_module.network, step=self._step)

    def on_validation_start(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Replaces the network by its average, before other callbacks access it."""
        if self.average is None or not _fits(trainer):
            return
        if trainer.world_size > 1:  # batch statistics differ between processes; the first one's are saved
            for buffer in self.average.module.buffers():
                distributed.broadcast(buffer, src=0)
        self.trained, pl_module.network = pl_module.network, self.average.module

    def on_validation_epoch_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Restores the network; callbacks that access the average run before this one."""
        self._put_back(pl_module)

    def on_exception(self, trainer: lightning.Trainer, pl_module: Any, exception: BaseException) -> None:
        """Restores the network if validation was interrupted."""
        self._put_back(pl_module)

    def on_save_checkpoint(self, trainer: lightning.Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Stores the average as the checkpoint's weights."""
        if self.average is not None:
            # during validation the network is the average
            trained = pl_module.network if self.trained is None else self.trained
            checkpoint["trained_weights"] = trained.state_dict()
            averaged = self.average.module.state_dict()
            checkpoint["state_dict"] |= {f"{_PREFIX}{name}": value for name, value in averaged.items()}

    def on_load_checkpoint(self, trainer: lightning.Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Restores average and weights; a run without averages so far starts from its weights."""
        if self.average is None or "state_dict" not in checkpoint or not _fits(trainer):
            return
        state = checkpoint["state_dict"]
        averaged = {name.removeprefix(_PREFIX): v for name, v in state.items() if name.startswith(_PREFIX)}
        self.average.module.load_state_dict(averaged)
        if "trained_weights" in checkpoint:
            pl_module.network.load_state_dict(checkpoint["trained_weights"])

    def _put_back(self, pl_module: Any) -> None:
        if self.trained is not None:
            pl_module.network, self.trained = self.trained, None


def validated_network(trainer: lightning.Trainer, pl_module: Any) -> nn.Module:
    """Returns the network that `fit` validates and saves: the moving average if there is one, else the trained one."""
    for callback in trainer.callbacks:  # pyright: ignore[reportAttributeAccessIssue]
        if isinstance(callback, MovingAverage) and callback.average is not None:
            return callback.average.module
    return pl_module.network


def _fits(trainer: lightning.Trainer) -> bool:
    return trainer.state.fn == TrainerFn.FITTING
