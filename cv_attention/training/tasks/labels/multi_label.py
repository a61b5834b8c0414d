"""Defines the task of classifying images that may have several classes each, or none."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn
from torchmetrics import Metric

from cv_attention.config import Experiment
from cv_attention.maps import Usage
from cv_attention.rundir.facts import DataFacts, LabelFacts
from cv_attention.rundir.layout import RunLayout
from cv_attention.training.checkpoint.checkpoints import facts_in
from cv_attention.training.recording.labels.label_counts import LabelCounting
from cv_attention.training.recording.labels.label_predictions import LabelPredictions
from cv_attention.training.tasks.classifier import Classifier
from cv_attention.training.tasks.interface import Guess, TaskInterface
from cv_attention.training.tasks.labels.losses import Targets
from cv_attention.training.tasks.labels.named_metrics import BestThresholds, named_metric
from cv_attention.training.tasks.selection import Criterion

_TUNED = ("f1_macro", "f1_micro")  # of the test split, also at the thresholds of the validation split


class MultiLabelClassifier(Classifier):
    """Decides for uint8 images (B, 3, H, W) which classes they show: logits (B, classes), each through its own sigmoid.

    Batches hold ``label``, uint8 (B, classes), or shares in [0, 1] where they are mixed. Each validation chooses for
    each class the threshold with the highest F1 score; checkpoints hold it in ``facts.thresholds``. Metrics that need
    a decision use 0.5, and on the test split also these thresholds: ``f1_macro_tuned`` and ``f1_micro_tuned``.

    Args:
        experiment: The configuration.
        facts: What the network must know of its data set; kept in the checkpoint, so that nothing else is needed to use
            the network.

    Raises:
        ValueError: if the network, the block or one of their options is unknown, or it looks at parts of the images by
            chance, which is learned by the reward of the one right class.

    Examples:
        >>> import torch
        >>> from cv_attention import config, training
        >>> experiment = config.Experiment(data=config.Data(targets="multi"), model=config.Model(options={"width": 4}))
        >>> facts = training.LabelFacts(("cat", "dog"), (0.5, 0.5, 0.5), (0.2, 0.2, 0.2), image_size=(32, 32))
        >>> classifier = training.MultiLabelClassifier(experiment, facts).eval()
        >>> classifier.decide(classifier(torch.zeros(4, 3, 32, 32, dtype=torch.uint8))).shape
        torch.Size([4, 2])
    """

    name: ClassVar[str] = "multi_label"
    criterion: ClassVar[Criterion] = Criterion("map")
    train_figures: ClassVar[tuple[str, ...]] = ()
    facts_type: ClassVar[type[Any]] = LabelFacts
    targets: ClassVar[Targets] = "multi"

    facts: LabelFacts  # pyright: ignore[reportIncompatibleVariableOverride]  # a kind of the base class's

    def __init__(self, experiment: Experiment, facts: LabelFacts) -> None:
        super().__init__(experiment, facts)
        if self.reinforce is not None:
            raise ValueError(
                "data.targets is multi, but the network samples where it looks, which is learned by the reward of the "
                "one right class; use a soft pooling or another backbone"
            )
        classes = len(facts.class_names)
        found = {"thresholds": BestThresholds(classes), **{n: named_metric(n, classes, "multi") for n in _TUNED}}
        for metric in found.values():
            metric.set_dtype(self.exact)
        self.choosing = nn.ModuleDict(found)

    def thresholds(self) -> Tensor:
        """Returns the probability (classes,) from which on an image counts as one of each class."""
        chosen = self.facts.thresholds or (0.5,) * len(self.facts.class_names)
        return torch.tensor(chosen, dtype=self.exact, device=self.device)

    def decide(self, logits: Tensor) -> Tensor:
        """Returns for `logits` (B, classes) which classes each image has, bool (B, classes)."""
        return logits.to(self.exact).sigmoid() >= self.thresholds()

    def training_step(self, batch: dict[str, Tensor], step: int) -> Tensor:
        """Returns the loss of a batch; `losses.Losses` logs it, and the epoch's means."""
        logits = self.training_network(self.normalise(batch["image"]))
        loss = self.loss(logits, batch["label"])
        self.epoch_means.add(len(logits), loss)
        return loss

    def _evaluate(self, split: str, batch: dict[str, Tensor]) -> Tensor:
        logits, labels = self.evaluated_logits(batch["image"]), batch["label"].long()
        probabilities = logits.sigmoid()
        metrics: Any = self.metrics[split]
        for name, metric in metrics.items(keep_base=True):
            metric.update(*((self.losses(logits, labels),) if name == "loss" else (probabilities, labels)))
        logged = dict(metrics.items())
        if split == "val":
            self._metric("thresholds").update(probabilities, labels)
        else:
            decided = self.decide(logits).long()
            for name in _TUNED:
                self._metric(name).update(decided, labels)
                logged[f"test_{name}_tuned"] = self._metric(name)
        for name, metric in logged.items():
            bar = name == f"{split}_{self.criterion.metric}"
            self.log(name, metric, on_step=False, on_epoch=True, prog_bar=bar, batch_size=len(labels))
        return logits

    def _metric(self, name: str) -> Metric:
        metric = self.choosing[name]
        assert isinstance(metric, Metric)
        return metric

    def on_validation_epoch_end(self) -> None:
        """Chooses the thresholds, on the images of all processes."""
        metric = self._metric("thresholds")
        if metric.update_called and not self.trainer.sanity_checking:
            chosen = metric.compute().clamp(0, 1).tolist()
            self.facts = replace(self.facts, thresholds=tuple(chosen))
        metric.reset()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restores what every classifier restores, and the thresholds."""
        super().on_load_checkpoint(checkpoint)
        kept: LabelFacts = facts_in(checkpoint["facts"], LabelFacts)
        restored = replace(self.facts, thresholds=kept.thresholds)
        self.facts = restored  # pyright: ignore[reportIncompatibleVariableOverride]

    def output_words(self) -> str | None:
        """Returns what the logits are."""
        return (
            f"logits (batch, {len(self.facts.class_names)}), one for each of facts.class_names; the sigmoid of each is "
            "the probability that an image has the class, and it counts as having it from facts.thresholds on"
        )

    def open_split(self, split: str) -> Any | None:
        """Returns None: the data set of the configuration is opened."""
        return

    def guess(self) -> Guess | None:
        """Returns None: what guessing achieves depends on how many classes the images have."""
        return

    def recorders(self, run: Path) -> list[Callback]:
        """Creates the recorders of how classes occur together, predictions and the probe images' maps."""
        counting: list[Callback] = [LabelCounting(run), *self.prediction_writers(RunLayout(run).predictions)]
        return [*counting, *self.map_recorders(run)]

    def prediction_writers(self, path: Path) -> list[Callback]:
        """Creates the callback that writes each test image's probabilities."""
        return [LabelPredictions(path)]

    def summary(self) -> dict[str, Any]:
        """Returns what ``summary.json`` says of the network, the classes and the direction of metrics."""
        found = super().summary()
        tuned = {f"{name}_tuned": True for name in _TUNED}
        return {**found, "higher_is_better": {**tuned, **found["higher_is_better"]}}

    def figures(self, metrics: Mapping[str, float], datamodule: Any) -> dict[str, float]:
        """Returns the test's figures."""
        return {name.removeprefix("test_"): value for name, value in metrics.items()}

    def in_use(self, datamodule: Any) -> Usage | None:
        """Measures how much the inserted blocks do; what they change in decisions is not counted."""
        return TaskInterface.in_use(self, datamodule)

    @classmethod
    def facts_of(cls, datamodule: Any) -> LabelFacts:
        """Gathers the names of the classes, how many images have them, and what every task knows of its images."""
        facts: Any = super().facts_of(datamodule)
        return facts

    @classmethod
    def check_data(cls, datamodule: Any, facts: DataFacts) -> None:
        """Raises ValueError unless the data have exactly the network's classes, and several for each image."""
        labels = getattr(datamodule, "training_targets", lambda: None)()
        if labels is not None and labels.ndim == 1:
            raise ValueError(
                "the network knows several classes per image, and the data have one; set data.targets multi"
            )
        super().check_data(datamodule, facts)
