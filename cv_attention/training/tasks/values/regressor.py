"""Defines the task of predicting numbers from images."""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn
from torch.nn import functional
from torchmetrics import MeanAbsoluteError, MeanMetric, MeanSquaredError, Metric, MetricCollection, R2Score

from cv_attention.backbones import Plan
from cv_attention.config import Experiment
from cv_attention.rundir.facts import ValueFacts
from cv_attention.rundir.layout import RunLayout
from cv_attention.training.recording.labels.label_predictions import ValuePredictions
from cv_attention.training.tasks.network import build_network
from cv_attention.training.tasks.selection import Criterion, monitored
from cv_attention.training.tasks.task import Task

_LOSSES = {"mse": functional.mse_loss, "l1": functional.l1_loss, "huber": functional.huber_loss}


class Regressor(Task):
    """Predicts numbers from uint8 images, (B, 3, H, W) -> (B, values).

    Batches hold ``label``, float32 (B, values). The network learns each number minus its mean over the training images,
    in units of its standard deviation there, and the loss is in these units; `forward` and all other metrics are in
    the units of the data.

    Args:
        experiment: The configuration.
        facts: What the network must know of its data set; kept in the checkpoint, so that nothing else is needed to use
            the network.

    Raises:
        ValueError: if the network, the block or one of their options is unknown.

    Examples:
        >>> import torch
        >>> from cv_attention import config, training
        >>> experiment = config.Experiment(data=config.Data(targets="numbers"), model=config.Model("resnet20"))
        >>> facts = training.ValueFacts(("age",), (0.5,) * 3, (0.2,) * 3, (32, 32), centre=(41.0,), scale=(12.5,))
        >>> training.Regressor(experiment, facts).eval()(torch.zeros(4, 3, 32, 32, dtype=torch.uint8)).shape
        torch.Size([4, 1])
    """

    name: ClassVar[str] = "regression"
    criterion: ClassVar[Criterion] = Criterion("mae", higher_is_better=False)
    train_figures: ClassVar[tuple[str, ...]] = ()
    facts_type: ClassVar[type[Any]] = ValueFacts
    options: ClassVar[tuple[str, ...]] = ("data.flip_test", "loss.name", "trainer.monitor", "trainer.monitor_mode")

    facts: ValueFacts
    centre: Tensor
    scale: Tensor

    def __init__(self, experiment: Experiment, facts: ValueFacts) -> None:
        super().__init__(experiment, facts)
        self.loss_name = "mse" if experiment.loss.name == "auto" else experiment.loss.name
        self.register_buffer("centre", torch.tensor(facts.centre, dtype=self.exact), persistent=False)
        self.register_buffer("scale", torch.tensor(facts.scale, dtype=self.exact), persistent=False)
        values: dict[str, Metric | MetricCollection] = {
            "mae": MeanAbsoluteError(), "rmse": MeanSquaredError(squared=False), "r2": R2Score(), "loss": MeanMetric(),
        }  # fmt: skip
        collection = MetricCollection(values, compute_groups=False)
        collection.set_dtype(self.exact)
        self.metrics = nn.ModuleDict({split: collection.clone(prefix=f"{split}_") for split in ("val", "test")})
        trainer = experiment.trainer
        directions = {"mae": False, "rmse": False, "r2": True, "loss": False}
        self.criterion = monitored(  # pyright: ignore[reportAttributeAccessIssue]
            trainer.monitor, trainer.monitor_mode, type(self).criterion, directions
        )

    def build(self) -> tuple[nn.Module, Plan | None]:
        """Builds the network with an output for each number, its blocks inserted."""
        return build_network(self.experiment.model, len(self.facts.value_names), self.facts.image_size)

    def forward(self, images: Tensor) -> Tensor:
        """Returns the numbers (B, values) that the network reads from uint8 `images`, in the units of the data."""
        return super().forward(images).to(self.exact) * self.scale + self.centre

    def training_step(self, batch: dict[str, Tensor], step: int) -> Tensor:
        """Returns the loss of a batch; `losses.Losses` logs it, and the epoch's means."""
        outputs = self.training_network(self.normalise(batch["image"]))
        wanted = (batch["label"].to(self.exact) - self.centre) / self.scale
        loss = _LOSSES[self.loss_name](outputs.float(), wanted.float())
        self.epoch_means.add(len(outputs), loss)
        return loss

    def losses(self, predicted: Tensor, true: Tensor) -> Tensor:
        """Computes the loss (B,) of each image from `predicted` and `true` numbers (B, values), in the data's units."""
        return _LOSSES[self.loss_name](predicted / self.scale, true / self.scale, reduction="none").mean(1)

    def validation_step(self, batch: dict[str, Tensor], step: int) -> Tensor:
        """Counts one batch of the validation split; returns the numbers (B, values)."""
        return self._evaluate("val", batch)

    def test_step(self, batch: dict[str, Tensor], step: int) -> Tensor:
        """Counts one batch of the test split; returns the numbers (B, values)."""
        return self._evaluate("test", batch)

    def _evaluate(self, split: str, batch: dict[str, Tensor]) -> Tensor:
        predicted, true = self(batch["image"]), batch["label"].to(self.exact)
        if self.experiment.data.flip_test:
            predicted = (predicted + self(batch["image"].flip(3))) / 2
        metrics: Any = self.metrics[split]
        for name, metric in metrics.items(keep_base=True):
            metric.update(*((self.losses(predicted, true),) if name == "loss" else (predicted, true)))
        for name, metric in metrics.items():
            bar = name == f"{split}_{self.criterion.metric}"
            self.log(name, metric, on_step=False, on_epoch=True, prog_bar=bar, batch_size=len(true))
        return predicted

    @classmethod
    def facts_of(cls, datamodule: Any) -> ValueFacts:
        """Gathers the names, means and deviations of the numbers, and what every task knows of its images."""
        values = np.asarray(datamodule.training_targets(), np.float64)
        scale = values.std(0)
        facts = ValueFacts(
            tuple(datamodule.class_names),
            tuple(datamodule.mean),
            tuple(datamodule.std),
            tuple(datamodule.image_size),
            tuple(values.mean(0).tolist()),
            tuple(np.where(scale > 0, scale, 1.0).tolist()),
        )
        if constant := [name for name, each in zip(facts.value_names, scale, strict=True) if each == 0]:
            raise ValueError(f"{constant[0]} is the same number for all training images; there is nothing to learn")
        return facts

    @classmethod
    def check_data(cls, datamodule: Any, facts: ValueFacts) -> None:
        """Raises ValueError unless the data have exactly the numbers that the network knows, in their order."""
        names = tuple(datamodule.class_names)
        if names != facts.value_names:
            raise ValueError(
                f"'{datamodule.source}' has the numbers {', '.join(names):.100}, and the network predicts "
                f"{', '.join(facts.value_names):.100}"
            )

    def output_names(self) -> list[str]:
        """Returns the names of the numbers."""
        return list(self.facts.value_names)

    def output_words(self) -> str | None:
        """Returns what the numbers are."""
        return f"values (batch, {len(self.facts.value_names)}), in the units of the data, named by facts.value_names"

    def resume_command(self, run: Path, options: str = "") -> str:
        """Returns the command line that resumes a run."""
        return f"cv-attention fit --resume {run}{f' {options}' if options else ''}"

    def recorders(self, run: Path) -> list[Callback]:
        """Creates the recorder of predictions; maps of probe images are of classifiers."""
        return self.prediction_writers(RunLayout(run).predictions)

    def prediction_writers(self, path: Path) -> list[Callback]:
        """Creates the callback that writes each test image's numbers."""
        return [ValuePredictions(path)]

    def summary(self) -> dict[str, Any]:
        """Returns what ``summary.json`` says of the network, the names of the numbers and the direction of metrics."""
        found = super().summary()
        directions = {"mae": False, "rmse": False, "r2": True, "loss": False, **found["higher_is_better"]}
        return {**found, "higher_is_better": directions, "value_names": list(self.facts.value_names)}
