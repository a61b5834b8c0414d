"""Defines the LightningModule: a network, its loss, its metrics and its optimizer."""

from collections.abc import Callable
from typing import Any

import lightning
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from cv_attention.backbones.attachment.lost import require_applied
from cv_attention.config import Experiment
from cv_attention.data.augmentation.normalisation import normalise
from cv_attention.rundir.facts import DataFacts
from cv_attention.training.devices.sharding import shard
from cv_attention.training.optim.optimization import create_optimizer, create_schedule, steps_per_epoch
from cv_attention.training.provenance import described
from cv_attention.training.tasks.epoch_means import EpochMeans
from cv_attention.training.tasks.metrics import create_metrics
from cv_attention.training.tasks.network import build_network


class Classifier(lightning.LightningModule):
    """Classifies uint8 images, (B, 3, H, W) -> logits (B, classes).

    Args:
        experiment: The configuration.
        facts: What the data set is like; kept in the checkpoint, so that nothing else is needed to use it.

    Raises:
        ValueError: if the network, the block, the optimizer or one of their options is unknown.
    """

    mean: Tensor
    std: Tensor
    rescheduled = False

    def __init__(self, experiment: Experiment, facts: DataFacts) -> None:
        super().__init__()
        self.experiment, self.facts = experiment, facts
        self._sharded = False
        self._compiled: Callable[[Tensor], Tensor] | None = None
        classes = len(facts.class_names)
        self.network, self.plan = build_network(experiment.model, classes, facts.image_size)
        self.memory_format = torch.channels_last if experiment.model.channels_last else torch.contiguous_format
        self.network.to(memory_format=self.memory_format)
        self.register_buffer("mean", 255 * torch.tensor(facts.mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", 255 * torch.tensor(facts.std).view(3, 1, 1), persistent=False)
        self.loss = nn.CrossEntropyLoss(label_smoothing=experiment.optimizer.label_smoothing)
        # Sums over a large split lose digits in single precision; Apple's GPUs have no other.
        self.exact = torch.float32 if torch.backends.mps.is_available() else torch.float64
        self.epoch_means = EpochMeans(self.exact)
        self.metrics = create_metrics(classes, experiment.log.metrics, self.exact)

    def train(self, mode: bool = True) -> "Classifier":
        """Sets the mode; where the head alone is trained, batch norms keep their statistics."""
        super().train(mode)
        if mode and self.experiment.model.train == "head":
            for module in self.network.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def normalise(self, images: Tensor) -> Tensor:
        """Turns uint8 images (B, 3, H, W) into what the network takes."""
        return normalise(images, self.mean, self.std).contiguous(memory_format=self.memory_format)

    def forward(self, images: Tensor) -> Tensor:
        """Returns the logits (B, classes) of uint8 images (B, 3, H, W)."""
        return self.network(self.normalise(images))

    def training_step(self, batch: dict[str, Tensor], step: int) -> Tensor:
        """Returns the loss of a batch; `losses.Losses` logs it, and the epoch's means."""
        logits = (self._compiled or self.network)(self.normalise(batch["image"]))
        loss = self.loss(logits, batch["label"])
        self.epoch_means.add(loss, logits, batch["label"])
        return loss

    def configure_model(self) -> None:
        """Divides the network over the devices where the strategy is to do so; Lightning calls this at every start."""
        if self.device_mesh is not None and not self._sharded:
            shard(self.network, self.device_mesh["data_parallel"])
            self._sharded = True

    def on_fit_start(self) -> None:
        """Checks that the strategy's conversions have left the blocks working, and compiles where that is wished."""
        require_applied(self.network)
        if self.experiment.trainer.compile:
            network = self.network

            def forward(images: Tensor) -> Tensor:
                return network(images)

            # A last batch or images of another size get a program of their own: general ones are slower.
            self._compiled = torch.compile(forward, dynamic=False)

    def on_train_epoch_start(self) -> None:
        """Sets the mode of this class; Lightning leaves every module in the mode in which it found it."""
        self.train()

    def on_fit_end(self) -> None:
        """Lets the program go, which cannot be copied or pickled."""
        self._compiled = None

    def _evaluate(self, split: str, batch: dict[str, Tensor]) -> Tensor:
        logits, labels = self(batch["image"]).to(self.exact), batch["label"]
        if self.experiment.data.flip_test:
            logits = (logits + self(batch["image"].flip(3)).to(self.exact)) / 2
        metrics: Any = self.metrics[split]
        for name, metric in metrics.items(keep_base=True):
            if name == "loss":  # one by one: where NaN is let through, torchmetrics 1.9 ignores weights
                metric.update(self.losses(logits, labels))
            else:
                metric.update(logits, labels)
        for name, metric in metrics.items():
            bar = name.endswith("_accuracy")
            self.log(name, metric, on_step=False, on_epoch=True, prog_bar=bar, batch_size=len(labels))
        return logits

    def losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Returns the loss (B,) of each image."""
        smoothing = self.loss.label_smoothing
        return functional.cross_entropy(logits, labels, reduction="none", label_smoothing=smoothing)

    def validation_step(self, batch: dict[str, Tensor], step: int) -> Tensor:
        """Counts one batch of the validation split; returns the logits (B, classes)."""
        return self._evaluate("val", batch)

    def test_step(self, batch: dict[str, Tensor], step: int) -> Tensor:
        """Counts one batch of the test split; returns the logits (B, classes)."""
        return self._evaluate("test", batch)

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
        """Adds the resolved configuration, the data set's facts and the code's version, plain values only."""
        checkpoint |= described(self.experiment, self.facts)
