"""Defines the task of classifying images."""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn

from cv_attention.backbones import Plan
from cv_attention.config import Experiment
from cv_attention.data.guessing import other_kind
from cv_attention.maps import Usage
from cv_attention.rundir.facts import DataFacts
from cv_attention.rundir.layout import RunLayout
from cv_attention.saliency.core.state import undisturbed
from cv_attention.training.callbacks.mixing import Mixing
from cv_attention.training.callbacks.sampling import CollapseWarning, Sampling, samples
from cv_attention.training.class_names import check_classes
from cv_attention.training.named_data import NamedData
from cv_attention.training.recording.confusion import Confusion
from cv_attention.training.recording.glimpses import judge_glimpses
from cv_attention.training.recording.pointing import point
from cv_attention.training.recording.predictions import Predictions
from cv_attention.training.recording.probe_details import ProbeDetails
from cv_attention.training.recording.probes import ProbeMaps
from cv_attention.training.recording.saliency_trial import check_methods, unsuited
from cv_attention.training.tasks.block_usage import block_usage
from cv_attention.training.tasks.interface import OF_SOME_TASKS, Guess
from cv_attention.training.tasks.labels.losses import ClassLoss, Targets, class_weights
from cv_attention.training.tasks.metrics import create_metrics
from cv_attention.training.tasks.network import build_network
from cv_attention.training.tasks.policy import Reinforce, draws_of
from cv_attention.training.tasks.selection import Criterion, Selected, by_accuracy, monitored
from cv_attention.training.tasks.task import Task


class Classifier(Task):
    """Classifies uint8 images, (B, 3, H, W) -> logits (B, classes).

    Batches hold ``label``, int64 (B,), or shares of classes (B, classes) where they are mixed.

    Args:
        experiment: The configuration.
        facts: What the network must know of its data set; kept in the checkpoint, so that nothing else is needed to use
            the network.

    Raises:
        ValueError: if the network, the block or one of their options is unknown.

    Examples:
        >>> import torch
        >>> from cv_attention import config, training
        >>> experiment = config.Experiment(model=config.Model(options={"width": 4}, block="se"))
        >>> facts = training.DataFacts(("cat", "dog"), (0.5, 0.5, 0.5), (0.2, 0.2, 0.2), image_size=(32, 32))
        >>> classifier = training.Classifier(experiment, facts)
        >>> classifier(torch.zeros(4, 3, 32, 32, dtype=torch.uint8)).shape
        torch.Size([4, 2])
        >>> len(classifier.plan.sites)
        9
    """

    name: ClassVar[str] = "classification"
    criterion: ClassVar[Criterion] = Criterion("accuracy")
    train_figures: ClassVar[tuple[str, ...]] = ("accuracy",)
    facts_type: ClassVar[type[Any]] = DataFacts
    options: ClassVar[tuple[str, ...]] = OF_SOME_TASKS
    targets: ClassVar[Targets] = "single"

    facts: DataFacts

    def __init__(self, experiment: Experiment, facts: DataFacts) -> None:
        super().__init__(experiment, facts)
        classes = len(facts.class_names)
        weights = class_weights(
            experiment.loss.class_weights, facts.class_names, facts.class_counts, facts.images, self.targets
        )
        smoothing = experiment.optimizer.label_smoothing
        self.loss = ClassLoss(experiment.loss, smoothing, weights, classes=classes, targets=self.targets)
        self.metrics = create_metrics(classes, experiment.log.metrics, self.exact, self.targets)
        self.criterion = self._criterion()  # pyright: ignore[reportAttributeAccessIssue]
        self.reinforce = Reinforce() if samples(self.network) else None

    def _criterion(self) -> Criterion:
        found: Any = self.metrics["val"]
        directions = {name: metric.higher_is_better for name, metric in found.items(keep_base=True)} | {"loss": False}
        trainer = self.experiment.trainer
        return monitored(trainer.monitor, trainer.monitor_mode, type(self).criterion, directions)

    def build(self) -> tuple[nn.Module, Plan | None]:
        """Builds the network with a logit for each class, its blocks inserted."""
        return build_network(self.experiment.model, len(self.facts.class_names), self.facts.image_size)

    def training_step(self, batch: dict[str, Tensor], step: int) -> Tensor:
        """Returns the loss of a batch; `losses.Losses` logs it, and the epoch's means."""
        images, labels = self.normalise(batch["image"]), batch["label"]
        if self.reinforce is None:
            logits = self.training_network(images)
            loss = self.loss(logits, labels)
        else:
            with draws_of(self.network) as drawn:
                logits = self.training_network(images)
            loss = self.loss(logits, labels) + self.reinforce.loss(drawn, logits, labels)
        self.epoch_means.add(len(logits), loss, accuracy=count_right(logits, labels))
        return loss

    def losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Computes the loss (B,) of each image from `logits` (B, classes) and `labels`, (B,) or (B, classes)."""
        return self.loss.each(logits, labels)

    def validation_step(self, batch: dict[str, Tensor], step: int) -> Tensor:
        """Counts one batch of the validation split; returns the logits (B, classes)."""
        return self._evaluate("val", batch)

    def test_step(self, batch: dict[str, Tensor], step: int) -> Tensor:
        """Counts one batch of the test split; returns the logits (B, classes)."""
        return self._evaluate("test", batch)

    def evaluated_logits(self, images: Tensor) -> Tensor:
        """Computes the logits (B, classes) of uint8 `images`; with ``data.flip_test`` also of their mirror images."""
        logits = self(images).to(self.exact)
        return (logits + self(images.flip(3)).to(self.exact)) / 2 if self.experiment.data.flip_test else logits

    def _evaluate(self, split: str, batch: dict[str, Tensor]) -> Tensor:
        logits, labels = self.evaluated_logits(batch["image"]), batch["label"]
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

    @classmethod
    def facts_of(cls, datamodule: Any) -> DataFacts:
        """Gathers the names of the classes, and what every task knows of its images.

        Raises:
            ValueError: if there is only one class, and each image has one.
        """
        names, size = tuple(datamodule.class_names), tuple(datamodule.image_size)
        if cls.targets == "single" and len(names) == 1:
            hint = other_kind(datamodule.source, "folder")
            raise ValueError(f"'{datamodule.source}' has a single class, {names[0]!r}; at least two are needed{hint}")
        facts = cls.facts_type(names, tuple(datamodule.mean), tuple(datamodule.std), size)
        labels = getattr(datamodule, "training_targets", lambda: None)()
        if labels is None:
            return facts
        counts = np.bincount(labels, minlength=len(names)) if labels.ndim == 1 else labels.sum(0, dtype=np.int64)
        return replace(facts, class_counts=tuple(counts.tolist()), images=len(labels))

    @classmethod
    def check_data(cls, datamodule: Any, facts: DataFacts) -> None:
        """Raises ValueError unless the data have exactly the classes that the network knows, in their order."""
        check_classes(datamodule.class_names, facts.class_names, datamodule.source)

    def open_split(self, split: str) -> Any | None:
        """Opens a split of a folder by the names of a pretrained network's classes."""
        return NamedData(self.experiment.data, self.facts, split) if self.facts.class_ids else None

    def output_names(self) -> list[str]:
        """Returns the names of the classes."""
        return list(self.facts.class_names)

    def output_words(self) -> str | None:
        """Returns what the logits are."""
        count = len(self.facts.class_names)
        if self.loss.name == "cross_entropy":
            return f"logits (batch, {count}), one for each of facts.class_names; their softmax gives the probabilities"
        return f"logits (batch, {count}), one for each of facts.class_names; the largest is that of the predicted class"

    def techniques(self) -> list[Callback]:
        """Creates the callbacks of mixup and CutMix, and of hard attention."""
        data, seed, found = self.experiment.data, self.experiment.seed, list[Callback]()
        if data.mixup or data.cutmix:
            found.append(Mixing(data, len(self.facts.class_names), seed))
        return found if self.reinforce is None else [*found, Sampling(seed), CollapseWarning()]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds what every task adds, and the baselines of hard attention."""
        super().on_save_checkpoint(checkpoint)
        if self.reinforce is not None:
            checkpoint["baselines"] = self.reinforce.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restores what every task restores, and the baselines of hard attention."""
        super().on_load_checkpoint(checkpoint)
        if self.reinforce is not None:
            self.reinforce.load_state_dict(checkpoint.get("baselines", {}))

    def foreseen(self, datamodule: Any) -> list[str]:
        """Tries the network, and the saliency methods that are to be recorded."""
        log = self.experiment.log
        inputs = self.normalise(datamodule.splits["val"].batch([(0, 0)])["image"])
        self._check_output(inputs)
        if not (log.maps_every and log.probes):
            return []
        check_methods(self.network, inputs, log.saliency)
        if reason := unsuited(self.network, inputs, "grad_cam"):
            return [f"no class maps are recorded and no pointing is judged, as Grad-CAM does not work: {reason}"]
        return []

    def _check_output(self, inputs: Tensor) -> None:
        with undisturbed(self.network, inputs.device.type):
            logits = self.network(inputs)
        wanted = (len(inputs), len(self.facts.class_names))
        if not isinstance(logits, Tensor) or logits.shape != wanted:
            got = tuple(logits.shape) if isinstance(logits, Tensor) else f"a {type(logits).__name__}"
            raise ValueError(f"{self.experiment.model.backbone} must return logits {wanted}, got {got}")

    def guess(self) -> Guess | None:
        """Returns the loss ln(C) of guessing among C classes; None for another loss, or a weighted one."""
        classes = max(len(self.facts.class_names), 2)
        if self.loss.name != "cross_entropy" or self.loss.weights is not None:
            return None
        return Guess(math.log(classes), f"guessing among {classes} classes")

    def is_guessing(self, means: Mapping[str, float], images: int) -> bool:
        """Returns whether no more images are right than by chance, with a margin for their number."""
        chance = 1 / max(len(self.facts.class_names), 2)
        return means["accuracy"] <= chance + 3 * math.sqrt(chance * (1 - chance) / max(images, 1))

    def choose_epoch(self, best: float, last: float, images: int) -> Selected:
        """Chooses the best epoch, or the last where the validation images are too few to tell accuracies apart."""
        if self.criterion.metric != "accuracy":
            return super().choose_epoch(best, last, images)
        return by_accuracy(best, last, images)

    def resume_command(self, run: Path, options: str = "") -> str:
        """Returns the command line that resumes a run."""
        return f"cv-attention fit --resume {run}{f' {options}' if options else ''}"

    def recorders(self, run: Path) -> list[Callback]:
        """Creates the recorders of confusions, predictions and the probe images' maps."""
        counting: list[Callback] = [Confusion(run), *self.prediction_writers(RunLayout(run).predictions)]
        return [*counting, *self.map_recorders(run)]

    def map_recorders(self, run: Path) -> list[Callback]:
        """Creates the recorders of the probe images' maps, which write into the run directory `run`."""
        log = self.experiment.log
        if not (log.maps_every and log.probes):
            return []
        maps = ProbeMaps(run, log.maps_every, log.probes, log.saliency)
        return [maps, ProbeDetails(maps, log.curve_points)]

    def prediction_writers(self, path: Path) -> list[Callback]:
        """Creates the callback that writes each test image's probabilities."""
        return [Predictions(path)]

    def summary(self) -> dict[str, Any]:
        """Returns what ``summary.json`` says of the network, the names of the classes and the direction of metrics."""
        test: Any = self.metrics["test"]
        found, metrics = super().summary(), test.items(keep_base=True)
        known = {name: metric.higher_is_better for name, metric in metrics if metric.higher_is_better is not None}
        directions = {**known, **found["higher_is_better"]}
        return {**found, "higher_is_better": directions, "class_names": list(self.facts.class_names)}

    def figures(self, metrics: Mapping[str, float], datamodule: Any) -> dict[str, float]:
        """Returns the test's figures; with boxes also how often Grad-CAM's maximum and the last glimpse lie in them."""
        judged = {**point(self, datamodule), **judge_glimpses(self, datamodule)}
        return {**super().figures(metrics, datamodule), **judged}

    def in_use(self, datamodule: Any) -> Usage | None:
        """Measures how much the inserted blocks do, and how many predictions they change."""
        return block_usage(self, datamodule)


def count_right(logits: Tensor, labels: Tensor) -> Tensor:
    """Counts the correct predictions.

    Where labels are mixed, an image counts with the share of its label that the predicted class has: an image that is
    70 % cat and 30 % dog and is taken for a cat counts 0.7.

    Args:
        logits: (B, classes).
        labels: (B,), or shares (B, classes).
    """
    with torch.no_grad():
        predicted = logits.detach().argmax(1)
        return labels.gather(1, predicted[:, None]).sum() if labels.ndim == 2 else (predicted == labels).sum()
