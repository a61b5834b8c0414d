"""Defines what the rest of training asks of a task: callbacks, checkpoints, recordings and the run directory."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from lightning.pytorch.callbacks import Callback
from torch import nn

from cv_attention import backbones
from cv_attention.backbones import Plan
from cv_attention.config import Experiment
from cv_attention.maps import Usage
from cv_attention.rundir.facts import ImageFacts
from cv_attention.rundir.layout import RunLayout
from cv_attention.training.tasks.block_usage import block_usage
from cv_attention.training.tasks.selection import Criterion, Selected

# Options that only some tasks obey; see `TaskInterface.options`.
OF_SOME_TASKS = (
    "data.mixup", "data.cutmix", "data.flip_test", "optimizer.label_smoothing", "log.metrics", "log.saliency",
    "loss.name", "loss.class_weights", "loss.target_threshold", "loss.sum_classes", "loss.focal_gamma",
    "loss.focal_alpha", "trainer.monitor", "trainer.monitor_mode",
)  # fmt: skip


class Guess(NamedTuple):
    """Holds what guessing without looking achieves: a training run whose loss is far above has diverged.

    Attributes:
        loss: Loss of guessing.
        words: Description of the guess, such as ``guessing among 10 classes``.
    """

    loss: float
    words: str


class TaskInterface:
    """Defines what training asks of a task, with defaults that suit any task.

    Attributes:
        name: Written into checkpoints, so that they are not loaded as another task's.
        criterion: The validation metric by which the best epoch is chosen. The task logs it as ``val_<metric>``.
        train_figures: Names of the means over an epoch's training images in addition to the loss; each is logged as
            ``train_<name>``. The training step adds their sums to ``epoch_means``.
        facts_type: Dataclass of what the network must know of its data; it has a method `check`.
        options: Options that this task obeys, of those that not every task does: ``data.mixup``, ``data.cutmix``,
            ``data.flip_test``, ``optimizer.label_smoothing``, ``log.metrics``, ``log.saliency``, those of ``loss``,
            ``trainer.monitor`` and ``trainer.monitor_mode``. Others of them are refused.
        predictions_name: Name of the file in the run directory that holds each test image's prediction.
        experiment: The configuration.
        facts: What the network knows of its data.
        network: The network: what is trained, averaged and saved.
        plan: Where blocks were inserted; None without blocks.
    """

    name: ClassVar[str]
    criterion: ClassVar[Criterion]
    train_figures: ClassVar[tuple[str, ...]] = ()
    facts_type: ClassVar[type[Any]] = ImageFacts
    options: ClassVar[tuple[str, ...]] = ()
    predictions_name: ClassVar[str] = RunLayout(Path()).predictions.name

    experiment: Experiment
    facts: Any
    network: nn.Module
    plan: Plan | None

    # What it knows of the data

    @classmethod
    def facts_of(cls, datamodule: Any) -> Any:
        """Gathers what the network must know of its data, of type `facts_type`.

        Args:
            datamodule: The data, set up.
        """
        return ImageFacts(tuple(datamodule.mean), tuple(datamodule.std), tuple(datamodule.image_size))

    @classmethod
    def check_data(cls, datamodule: Any, facts: Any) -> None:
        """Raises ValueError unless the images suit a network that was trained on data with these facts.

        Args:
            datamodule: The data, set up.
            facts: What the network knows of the data that it was trained on.
        """

    def open_split(self, split: str) -> Any | None:
        """Opens a split by other means than the configuration's data module; None if that is to be used.

        Args:
            split: ``train``, ``val`` or ``test``.
        """
        return None

    def output_names(self) -> list[str] | None:
        """Returns what the network's outputs stand for; None where they have no names.

        A head is taken over from ``model.weights`` only where the names are the same.
        """
        return None

    def output_words(self) -> str | None:
        """Returns what the outputs of an exported network are, for its metadata; None where that is not described."""
        return None

    # Before and during training

    def check_options(self) -> None:
        """Raises ValueError where an option is set that this task does not obey."""
        default = Experiment()
        for option in OF_SOME_TASKS:
            section, field = option.split(".")
            value = getattr(getattr(self.experiment, section), field)
            if option not in self.options and value != getattr(getattr(default, section), field):
                raise ValueError(f"{option} is {value}, but the task {self.name} does not use it; leave it out")

    def techniques(self) -> list[Callback]:
        """Creates the task's own callbacks that change training batches in place."""
        return []

    def foreseen(self, datamodule: Any) -> list[str]:
        """Returns notices to print before training starts; raises ValueError for what cannot work.

        Args:
            datamodule: The data, set up.
        """
        return []

    def guess(self) -> Guess | None:
        """Returns what guessing achieves; None if that is unknown, and no divergence is warned of."""
        return None

    def is_guessing(self, means: Mapping[str, float], images: int) -> bool:
        """Returns whether an epoch's training figures are those of a guess.

        Then a loss of twice the guess's is a divergence; otherwise only one of fifty times is.

        Args:
            means: Means over the epoch's training images: ``loss`` and `train_figures`.
            images: Number of images.
        """
        return False

    def choose_epoch(self, best: float, last: float, images: int) -> Selected:
        """Chooses the epoch whose network is tested and saved if ``trainer.select`` is ``auto``.

        Args:
            best: The best validation figure of all epochs.
            last: The validation figure of the last epoch.
            images: Number of validation images.
        """
        return Selected("best", f"it has the best validation {self.criterion.metric.replace('_', ' ')}")

    def resume_command(self, run: Path, options: str = "") -> str:
        """Returns the command or call that resumes a run, for messages.

        Args:
            run: The run directory.
            options: Options of the command line that are changed.
        """
        return f"training.prepare(experiment, resume=Path('{run}'), task={type(self).__name__}, ...)"

    # What is recorded

    def recorders(self, run: Path) -> list[Callback]:
        """Creates the callbacks that record validations and the test; they see the weights that are saved.

        Args:
            run: The run directory.
        """
        return []

    def prediction_writers(self, path: Path) -> list[Callback]:
        """Creates the callbacks that write every test image's prediction to a file, if the task has predictions.

        Args:
            path: The file.
        """
        return []

    def summary(self) -> dict[str, Any]:
        """Returns what ``summary.json`` says of the task and its network, as plain values."""
        outline = backbones.outline(self.network, self.facts.image_size)
        return {
            "task": self.name,
            "parameters": outline["parameters"],
            "flops": outline["flops"],
            "plan": self.plan and str(self.plan),
            "sites": self.plan.to_dict()["sites"] if self.plan else [],
            "network": outline["parts"],
            "higher_is_better": {self.criterion.metric: self.criterion.higher_is_better},
        }

    def figures(self, metrics: Mapping[str, float], datamodule: Any) -> dict[str, float]:
        """Returns the test's figures by the names that ``summary.json`` and ``cv-attention test`` give them.

        Args:
            metrics: What the test step logged, such as ``test_loss``.
            datamodule: The data that was tested on.
        """
        return {name.removeprefix("test_"): value for name, value in metrics.items()}

    def in_use(self, datamodule: Any) -> Usage | None:
        """Measures how much the inserted blocks do, on validation images; None without blocks.

        Args:
            datamodule: The data, set up.
        """
        used = block_usage(self, datamodule)
        return used and replace(used, predictions_changed=None)  # which compares classes
