"""Defines the base class of tasks: a network, its optimizer and schedule, compilation, and resuming."""

from collections.abc import Callable
from typing import Any

import lightning
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from cv_attention.backbones import Plan
from cv_attention.backbones.attachment.lost import require_applied
from cv_attention.config import Experiment
from cv_attention.data.augmentation.normalisation import normalise
from cv_attention.training.devices.sharding import shard
from cv_attention.training.optim.optimization import create_optimizer, create_schedule, steps_per_epoch
from cv_attention.training.provenance import described
from cv_attention.training.tasks.epoch_means import EpochMeans
from cv_attention.training.tasks.interface import TaskInterface


class Task(TaskInterface, lightning.LightningModule):
    """Base class of tasks: a network with its loss, its metrics and its optimizer. Derive your own task from it.

    A task sets `name` and `criterion`, and implements `build`, `training_step`, `validation_step` and `test_step`. The
    training step calls `training_network`, adds its loss to `epoch_means` and returns it; the other steps log
    ``val_<metric>`` and ``test_<metric>``. Everything else that training asks of it has a default in `TaskInterface`.

    Args:
        experiment: The configuration.
        facts: What the network must know of its data, of type `facts_type`; kept in the checkpoint, so that nothing
            else is needed to use the network.

    Attributes:
        epoch_means: Means over the epoch's training images.
        exact: Floating type of sums over many images: double precision, where the device has it.

    Raises:
        ValueError: if the network, the block or one of their options is unknown, or an option is set that the task
            does not use.

    Examples:
        >>> import torch
        >>> from cv_attention import config, training
        >>> class Regressor(training.Task):
        ...     name, criterion = "regression", training.Criterion("mse", higher_is_better=False)
        ...     def build(self):
        ...         return training.build_network(self.experiment.model, 1, self.facts.image_size)
        ...     def training_step(self, batch, step):
        ...         predicted = self.training_network(self.normalise(batch["image"]))[:, 0]
        ...         loss = torch.nn.functional.mse_loss(predicted, batch["target"])
        ...         self.epoch_means.add(len(predicted), loss)
        ...         return loss
        >>> facts = training.ImageFacts(mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2), image_size=(32, 32))
        >>> task = Regressor(config.Experiment(model=config.Model(options={"width": 4})), facts)
        >>> batch = {"image": torch.zeros(4, 3, 32, 32, dtype=torch.uint8), "target": torch.ones(4)}
        >>> task.training_step(batch, 0).shape
        torch.Size([])
    """

    mean: Tensor
    std: Tensor
    rescheduled = False

    def __init__(self, experiment: Experiment, facts: Any) -> None:
        super().__init__()
        self.experiment, self.facts = experiment, facts
        self.check_options()
        self._sharded = False
        self._compiled: Callable[..., Any] | None = None
        self.network, self.plan = _built(self)
        self.memory_format = torch.channels_last if experiment.model.channels_last else torch.contiguous_format
        self.network.to(memory_format=self.memory_format)
        self.register_buffer("mean", 255 * torch.tensor(facts.mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", 255 * torch.tensor(facts.std).view(3, 1, 1), persistent=False)
        # Sums over a large split lose digits in single precision; Apple's GPUs have no other.
        self.exact = torch.float32 if torch.backends.mps.is_available() else torch.float64
        self.epoch_means = EpochMeans(self.train_figures, self.exact)

    def build(self) -> tuple[nn.Module, Plan | None]:
        """Builds the network and inserts its blocks, when `experiment` and `facts` are set; see `build_network`."""
        raise NotImplementedError(f"{type(self).__name__} must implement build()")

    @property
    def trained_call(self) -> Callable[..., Any]:
        """What a training step calls: the network, if a task does not override it."""
        return self.network

    @property
    def training_network(self) -> Callable[..., Any]:
        """What the training step calls, compiled where the configuration asks for that."""
        return self._compiled or self.trained_call

    def train(self, mode: bool = True) -> "Task":
        """Sets the training mode to `mode`; if only the head is trained, batch norms keep their statistics."""
        super().train(mode)
        if mode and self.experiment.model.train == "head":
            for module in self.network.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def normalise(self, images: Tensor) -> Tensor:
        """Normalises uint8 `images` (B, 3, H, W) to what the network takes."""
        return normalise(images, self.mean, self.std).contiguous(memory_format=self.memory_format)

    def forward(self, images: Tensor) -> Any:
        """Returns the network's output for uint8 `images` (B, 3, H, W)."""
        return self.network(self.normalise(images))

    def configure_model(self) -> None:
        """Divides the network over the devices where the strategy is to do so; Lightning calls this at every start."""
        if self.device_mesh is not None and not self._sharded:
            shard(self.network, self.device_mesh["data_parallel"])
            self._sharded = True

    def on_fit_start(self) -> None:
        """Checks that the strategy's conversions have left the blocks working, and compiles where that is wished."""
        require_applied(self.network)
        if self.experiment.trainer.compile:
            call = self.trained_call

            def forward(*inputs: Any) -> Any:
                return call(*inputs)

            # A last batch or images of another size get a program of their own: general ones are slower.
            self._compiled = torch.compile(forward, dynamic=False)

    def on_train_epoch_start(self) -> None:
        """Sets the mode of this class; Lightning leaves every module in the mode in which it found it."""
        self.train()

    def on_fit_end(self) -> None:
        """Drops the compiled network, which can be neither copied nor pickled."""
        self._compiled = None

    def configure_optimizers(self) -> Any:
        """Creates optimizer and schedule from the configuration."""
        config, trainer = self.experiment.optimizer, self.experiment.trainer
        optimizer = create_optimizer(config, self.network)
        # `estimated_stepping_batches` would spoil a resumed loader's state.
        batches = len(self.trainer.datamodule.train_dataloader())  # pyright: ignore[reportAttributeAccessIssue]
        schedule = create_schedule(config, optimizer, trainer.max_epochs, steps_per_epoch(batches, trainer))
        if schedule is None:
            return optimizer
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        """Steps timm's schedules, which count updates, and torch's, which count calls."""
        if hasattr(scheduler, "step_update"):
            scheduler.step_update(self.global_step)
        else:
            scheduler.step()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Lets a schedule follow the present configuration, where that has changed; only its position is taken over."""
        before, now = checkpoint["experiment"], self.experiment.to_dict()
        if any(before[part] != now[part] for part in ("data", "optimizer", "trainer")):
            position = ("last_epoch", "_step_count")
            schedules = checkpoint["lr_schedulers"]
            checkpoint["lr_schedulers"] = [{k: s[k] for k in position if k in s} for s in schedules]
            self.rescheduled = True

    def on_train_start(self) -> None:
        """Sets the rate that a changed schedule has at this step; the checkpoint's optimizer brought the old one."""
        if self.rescheduled:
            for config in self.trainer.lr_scheduler_configs:
                if hasattr(config.scheduler, "last_epoch"):
                    config.scheduler.last_epoch -= 1  # torch: the next call leads to the step where we are
                self.lr_scheduler_step(config.scheduler, None)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds the task, the resolved configuration, the data's facts and the code's version, plain values only."""
        checkpoint |= described(self.name, self.experiment, self.facts)


def _built(task: Task) -> tuple[nn.Module, Plan | None]:
    """What `Task.build` returns; raises ValueError where that is something else than a network and a plan."""
    found: Any = task.build()
    if not isinstance(found, tuple) or len(found) != 2 or not isinstance(found[0], nn.Module):
        kind = type(found).__name__
        raise ValueError(
            f"{type(task).__name__}.build must return a network and its plan, or None for no plan; got a {kind}"
        )
    return found
