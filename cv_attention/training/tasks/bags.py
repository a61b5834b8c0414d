"""Defines the task of classifying bags of images."""

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn
from torch.nn import functional
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAUROC

from cv_attention.backbones import Plan
from cv_attention.backbones.models.new_head import logit_layers
from cv_attention.backbones.positions.parameters import remember_heads
from cv_attention.config import Experiment
from cv_attention.heads import BagNetwork, family_of, options_of_pay_attention
from cv_attention.maps import record
from cv_attention.rundir.facts import DataFacts
from cv_attention.rundir.layout import RunLayout
from cv_attention.training.class_names import check_classes
from cv_attention.training.recording.confusion import Confusion
from cv_attention.training.recording.predictions import Predictions
from cv_attention.training.recording.sequences.bag_weights import BagWeights
from cv_attention.training.tasks.classifier import count_right
from cv_attention.training.tasks.labels.losses import Targets
from cv_attention.training.tasks.metrics import create_metrics
from cv_attention.training.tasks.network import build_network
from cv_attention.training.tasks.selection import Criterion
from cv_attention.training.tasks.task import Task


class BagClassifier(Task):
    """Classifies bags of images that have one label for all: by attention over the images of the bag.

    Batches are those of `cv_attention.data.bags.BagSet`. ``model.head`` is the pooling over the bag, ``additive``,
    ``luong`` or ``gated``, or null for the mean; ``model.block`` goes into the encoder of the images.

    Args:
        experiment: The configuration.
        facts: The names of the classes, and what the network must know of the images.

    Raises:
        ValueError: if the network, its block or its head is unknown or does not suit bags.

    Examples:
        >>> import torch
        >>> from cv_attention import config, training
        >>> experiment = config.Experiment(model=config.Model(backbone="convnet", head="gated"))
        >>> facts = training.DataFacts(("without", "with"), (0.5, 0.5, 0.5), (0.2, 0.2, 0.2), image_size=(32, 32))
        >>> task = training.BagClassifier(experiment, facts)
        >>> images, keep = torch.zeros(2, 3, 3, 32, 32, dtype=torch.uint8), torch.ones(2, 3, dtype=torch.bool)
        >>> task({"image": images, "keep": keep}).shape
        torch.Size([2, 2])
    """

    name: ClassVar[str] = "bags"
    criterion: ClassVar[Criterion] = Criterion("auroc")
    train_figures: ClassVar[tuple[str, ...]] = ("accuracy",)
    facts_type: ClassVar[type[Any]] = DataFacts
    options: ClassVar[tuple[str, ...]] = ("optimizer.label_smoothing",)
    targets: ClassVar[Targets] = "single"

    facts: DataFacts

    def __init__(self, experiment: Experiment, facts: DataFacts) -> None:
        super().__init__(experiment, facts)
        classes = len(facts.class_names)
        self.loss = nn.CrossEntropyLoss(label_smoothing=experiment.optimizer.label_smoothing)
        self.metrics = create_metrics(classes, [], self.exact)
        for collection in self.metrics.values():
            assert isinstance(collection, MetricCollection)
            collection.add_metrics({"auroc": MulticlassAUROC(classes)})

    def build(self) -> tuple[nn.Module, Plan | None]:
        """Builds the encoder of the images, its blocks inserted, and the pooling over bags."""
        model, classes = self.experiment.model, len(self.facts.class_names)
        if model.head is not None and (family_of(model.head) != "pool" or options_of_pay_attention(model.head)):
            raise ValueError(f"model.head is {model.head}, but bags take additive, luong, gated or null")
        encoder, plan = build_network(replace(model, head=None), classes, self.facts.image_size)
        layers = logit_layers(encoder)
        name, layer = next(iter(layers.items()), ("", None))
        if len(layers) != 1 or not isinstance(layer, nn.Linear):
            raise ValueError(f"{model.backbone} has no single linear layer in whose place bags are pooled")
        parent, _, child = name.rpartition(".")
        setattr(encoder.get_submodule(parent), child, nn.Identity())
        network = BagNetwork(encoder, layer.in_features, classes, model.head)
        remember_heads(network, ["classifier"])
        return network, plan

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]  # bags come with their mask
        self, images: dict[str, Tensor]
    ) -> Tensor:
        """Returns the logits (B, classes) of `images`: a batch with ``image`` (B, T, 3, H, W) uint8 and ``keep``."""
        return self.network(self.normalise(images["image"][images["keep"]]), images["keep"])

    def training_step(self, batch: dict[str, Tensor], step: int) -> Tensor:
        """Returns the loss of a batch of bags."""
        images, labels = self.normalise(batch["image"][batch["keep"]]), batch["label"]
        logits = self.training_network(images, batch["keep"])
        loss = self.loss(logits, labels)
        self.epoch_means.add(len(logits), loss, accuracy=count_right(logits, labels))
        return loss

    def losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Computes the loss (B,) of each bag from `logits` (B, classes) and `labels` (B,)."""
        smoothing = self.loss.label_smoothing
        return functional.cross_entropy(logits, labels, reduction="none", label_smoothing=smoothing)

    def validation_step(self, batch: dict[str, Tensor], step: int) -> Tensor:
        """Counts one batch of the validation split; returns the logits (B, classes)."""
        return self._evaluate("val", batch)

    def test_step(self, batch: dict[str, Tensor], step: int) -> Tensor:
        """Counts one batch of the test split; returns the logits (B, classes)."""
        return self._evaluate("test", batch)

    def _evaluate(self, split: str, batch: dict[str, Tensor]) -> Tensor:
        logits, labels = self(batch).to(self.exact), batch["label"]
        metrics: Any = self.metrics[split]
        for name, metric in metrics.items(keep_base=True):
            metric.update(*((self.losses(logits, labels),) if name == "loss" else (logits, labels)))
        for name, metric in metrics.items():
            self.log(name, metric, on_step=False, on_epoch=True, prog_bar=name == "val_auroc", batch_size=len(labels))
        return logits

    @classmethod
    def facts_of(cls, datamodule: Any) -> DataFacts:
        """Gathers the names of the classes, and what every task knows of its images."""
        names, size = tuple(datamodule.class_names), tuple(datamodule.image_size)
        return DataFacts(names, tuple(datamodule.mean), tuple(datamodule.std), size)

    @classmethod
    def check_data(cls, datamodule: Any, facts: DataFacts) -> None:
        """Raises ValueError unless the data have exactly the classes that the network knows, in their order."""
        check_classes(datamodule.class_names, facts.class_names, datamodule.source)

    def output_names(self) -> list[str]:
        """Returns the names of the classes."""
        return list(self.facts.class_names)

    def resume_command(self, run: Path, options: str = "") -> str:
        """Returns the command line that resumes a run."""
        return f"cv-attention fit --resume {run}{f' {options}' if options else ''}"

    def recorders(self, run: Path) -> list[Callback]:
        """Creates the recorders of confusions, predictions and the weights of test bags."""
        layout = RunLayout(run)
        return [Confusion(run), *self.prediction_writers(layout.predictions), BagWeights(layout.bags)]

    def prediction_writers(self, path: Path) -> list[Callback]:
        """Creates the callback that writes each test bag's probabilities."""
        return [Predictions(path)]

    def summary(self) -> dict[str, Any]:
        """Returns what ``summary.json`` says of the network, the classes and the direction of metrics."""
        test: Any = self.metrics["test"]
        found, metrics = super().summary(), test.items(keep_base=True)
        known = {name: metric.higher_is_better for name, metric in metrics if metric.higher_is_better is not None}
        names = list(self.facts.class_names)
        return {**found, "higher_is_better": {**known, **found["higher_is_better"]}, "class_names": names}

    def figures(self, metrics: Any, datamodule: Any) -> dict[str, float]:
        """Returns the test's figures; where it is known which images make a bag positive, also their weight."""
        return {**super().figures(metrics, datamodule), **self._weight_on_key(datamodule.splits["test"])}

    def in_use(self, datamodule: Any) -> None:
        """Returns None: how much blocks do is measured on images, not on bags."""
        return

    def weights(self, batch: dict[str, Tensor]) -> Tensor:
        """Computes the weights (B, T) of the images of a `batch`, the mean over heads; 0 where there is no image."""
        with torch.no_grad(), record(self.network, only="pool.map") as maps:
            self(batch)
        return maps["pool.map"].values[:, :, 0].float().mean(1)

    def _weight_on_key(self, split: Any) -> dict[str, float]:
        """The mean share of the weight on the images that make a bag positive, over positive bags, and their share."""
        if split.images.key is None:
            return {}
        weight, chance = [], []
        self.eval()
        for start in range(0, len(split), 64):
            batch = split.batch([(0, index) for index in range(start, min(start + 64, len(split)))], self.device)
            key, positive = batch["key"], batch["key"].any(1)
            weight.append((self.weights(batch) * key).sum(1)[positive])
            chance.append((key.sum(1) / batch["keep"].sum(1))[positive])
        shares = {"weight_on_key": weight, "weight_on_key_chance": chance}
        return {name: torch.cat(parts).double().mean().item() for name, parts in shares.items()}
