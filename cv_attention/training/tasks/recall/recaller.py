"""Defines the task of recalling what a sequence of images showed."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn
from torch.nn import functional as F

from cv_attention.backbones import Plan
from cv_attention.config import Experiment
from cv_attention.heads import RecallNetwork
from cv_attention.rundir.facts import EpisodeFacts
from cv_attention.rundir.layout import RunLayout
from cv_attention.training.recording.sequences.recalled_file import RecalledFile
from cv_attention.training.recording.sequences.remembered import Remembered
from cv_attention.training.tasks.interface import Guess
from cv_attention.training.tasks.recall.metrics import RecallMetrics
from cv_attention.training.tasks.recall.network import build_recall_network
from cv_attention.training.tasks.recall.steps import NONE, Steps, lay_out
from cv_attention.training.tasks.selection import Criterion
from cv_attention.training.tasks.task import Task


class Recalled(NamedTuple):
    """Holds what was recalled in a batch.

    Attributes:
        logits: (B, S, ways).
        steps: The steps, with the right answers.
    """

    logits: Tensor
    steps: Steps


class Recaller(Task):
    """Recalls what sequences of uint8 images showed, by a controller with a memory.

    Batches hold ``images`` uint8 (B, T, 3, H, W) and ``labels`` int64 (B, T), -1 behind the end of an episode; for
    ``classify`` also ``instances`` int64 (B, T), for ``associate`` ``target`` int64 (B,). What each step shows and asks
    follows from the kind of episode, see `steps.lay_out`.

    Args:
        experiment: The configuration; ``model.head`` is ``recall``.
        facts: What the network must know of its data set; kept in the checkpoint, so that nothing else is needed to use
            the network.

    Raises:
        ValueError: if the network, the block, the head or one of their options is unknown, or does not suit the
            episodes.

    Examples:
        >>> import torch
        >>> from cv_attention import config, training
        >>> model = config.Model(backbone="convnet", head={"name": "recall", "memory": "mann"})
        >>> facts = training.EpisodeFacts("classify", 5, 20, (0.5,) * 3, (0.2,) * 3, (28, 28))
        >>> recaller = training.Recaller(config.Experiment(model=model), facts).eval()
        >>> images = torch.zeros(1, 3, 3, 28, 28, dtype=torch.uint8)
        >>> recaller.recall(images, labels=torch.tensor([[4, 1]])).shape  # the third image has no label yet
        torch.Size([1, 3, 5])
    """

    name: ClassVar[str] = "recall"
    criterion: ClassVar[Criterion] = Criterion("accuracy")  # of each kind its own, see `__init__`
    train_figures: ClassVar[tuple[str, ...]] = ("accuracy",)
    facts_type: ClassVar[type[Any]] = EpisodeFacts
    options: ClassVar[tuple[str, ...]] = ("optimizer.label_smoothing",)
    predictions_name: ClassVar[str] = RunLayout(Path()).recalled.name

    facts: EpisodeFacts
    network: RecallNetwork

    def __init__(self, experiment: Experiment, facts: EpisodeFacts) -> None:
        super().__init__(experiment, facts)
        kind = facts.kind
        metric = {"classify": "accuracy_after_1", "copy": "exact", "associate": "accuracy"}[kind]
        self.criterion = Criterion(metric)  # pyright: ignore[reportAttributeAccessIssue]
        instances = max(facts.length // facts.ways, 1)
        self.metrics = nn.ModuleDict({split: RecallMetrics(kind, instances, self.exact) for split in ("val", "test")})

    def build(self) -> tuple[nn.Module, Plan | None]:
        """Builds the backbone with its blocks and the head with the memory."""
        facts = self.facts
        return build_recall_network(self.experiment.model, facts.kind, facts.ways, facts.image_size)

    @property
    def trained_call(self) -> Callable[..., Any]:
        """What a training step calls: the network."""
        return self.network

    def training_step(self, batch: dict[str, Tensor], step: int) -> Tensor:
        """Returns the mean loss of the answers of a batch; `losses.Losses` logs it, and the epoch's means."""
        logits, steps = self.recalled(batch, self.training_network)
        asked = steps.answer != NONE
        wanted, smoothing = steps.answer[asked], self.experiment.optimizer.label_smoothing
        loss = F.cross_entropy(logits[asked].float(), wanted, label_smoothing=smoothing)
        if (naming := self.network.head.naming) and self.facts.kind != "classify":
            shown = steps.place != NONE
            names = batch["labels"][batch["labels"] != NONE]
            loss = (1 - naming) * loss + naming * F.cross_entropy(logits[shown].float(), names)
        episodes = len(logits)
        self.epoch_means.add(episodes, loss, accuracy=episodes * (logits[asked].argmax(1) == wanted).float().mean())
        return loss

    def validation_step(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, batch: dict[str, Tensor], step: int
    ) -> Recalled:
        """Counts one batch of the validation split."""
        return self._evaluate("val", batch)

    def test_step(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, batch: dict[str, Tensor], step: int
    ) -> Recalled:
        """Counts one batch of the test split."""
        return self._evaluate("test", batch)

    def _evaluate(self, split: str, batch: dict[str, Tensor]) -> Recalled:
        recalled = self.recalled(batch)
        metrics: Any = self.metrics[split]
        for name, metric in metrics.count(recalled.logits, recalled.steps.answer, recalled.steps.nth).items():
            shown = name == self.criterion.metric
            self.log(
                f"{split}_{name}", metric, on_step=False, on_epoch=True, prog_bar=shown, batch_size=len(recalled[0])
            )
        return recalled

    def recalled(self, batch: Mapping[str, Tensor], call: Callable[..., Any] | None = None) -> Recalled:
        """Returns what the network makes of a `batch`; `call` is called in its place, such as its compiled version."""
        keep, steps = batch["labels"] >= 0, lay_out(self.facts.kind, batch)
        images = self.normalise(batch["images"][keep])
        return Recalled((call or self.network)(images, steps.told, steps.place, steps.asked, keep), steps)

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]  # episodes come with their labels
        self, images: Mapping[str, Tensor]
    ) -> Tensor:
        """Returns the logits (B, S, ways) of `images`, a batch."""
        return self.recalled(images).logits

    @torch.no_grad()
    def recall(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Returns probabilities of names, without gradients.

        Args:
            images: uint8 (B, T, 3, H, W), of the size that the network was trained on.
            labels: For ``classify``: what is known of the images, int64 (B, T) or fewer columns, -1 where nothing is;
                each label arrives one step after its image.

        Returns:
            (B, S, ways): for ``classify`` of each image; for ``copy`` of the T steps behind them; for ``associate`` of
            the answer alone.
        """
        shape, device = images.shape[:2], images.device
        given = torch.full(shape, NONE, device=device)
        if labels is not None:
            given[:, : labels.shape[1]] = labels
        real = torch.zeros(shape, dtype=torch.int64, device=device)
        steps = lay_out(self.facts.kind, {"labels": real, "instances": real, "target": real[:, 0]})
        told = steps.told
        if self.facts.kind == "classify":
            told = torch.cat([torch.full_like(given[:, :1], NONE), given[:, :-1]], 1)
        pixels = self.normalise(images.flatten(0, 1)).unflatten(0, shape)
        logits = self.network(pixels, told, steps.place, steps.asked)
        answers = logits.shape[1] - (0 if self.facts.kind == "classify" else shape[1])
        return logits[:, -answers:].softmax(2)

    @classmethod
    def facts_of(cls, datamodule: Any) -> EpisodeFacts:
        """Gathers the kind of episodes, the number of labels, and what every task knows of its images."""
        split, size = datamodule.splits["test"], tuple(datamodule.image_size)
        length = split.batch([(0, 0)])["labels"].shape[1]
        return EpisodeFacts(
            datamodule.kind, datamodule.ways, length, tuple(datamodule.mean), tuple(datamodule.std), size
        )

    @classmethod
    def check_data(cls, datamodule: Any, facts: EpisodeFacts) -> None:
        """Raises ValueError unless the episodes are of the network's kind, with as many labels."""
        kind, ways = getattr(datamodule, "kind", None), getattr(datamodule, "ways", None)
        if kind != facts.kind:
            raise ValueError(f"the network was trained on episodes of the kind {facts.kind}, and the data are {kind}")
        if ways != facts.ways:
            raise ValueError(f"the network knows {facts.ways} labels, and the episodes have {ways}")

    def guess(self) -> Guess:
        """Returns the loss ln(ways) of guessing among the labels."""
        ways = self.facts.ways
        return Guess(math.log(ways), f"guessing among {ways} labels")

    def resume_command(self, run: Path, options: str = "") -> str:
        """Returns the command line that resumes a run."""
        return f"cv-attention fit --resume {run}{f' {options}' if options else ''}"

    def recorders(self, run: Path) -> list[Callback]:
        """Creates the recorders of the test's answers and of some episodes with the weights of the memory."""
        return [*self.prediction_writers(run / self.predictions_name), Remembered(RunLayout(run).memory)]

    def prediction_writers(self, path: Path) -> list[Callback]:
        """Creates the callback that writes the answers to each test episode."""
        return [RecalledFile(path)]

    def summary(self) -> dict[str, Any]:
        """Returns what ``summary.json`` says of the network, the episodes and the direction of metrics."""
        directions = {name: name != "bits" for name in self.metrics["test"]}  # pyright: ignore[reportGeneralTypeIssues]
        episodes = {"kind": self.facts.kind, "ways": self.facts.ways, "length": self.facts.length}
        return {**super().summary(), "higher_is_better": directions, "episodes": episodes}

    def in_use(self, datamodule: Any) -> None:
        """Returns None: how much blocks do is measured on images, not on episodes."""
        return
