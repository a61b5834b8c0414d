"""Defines the task of reading texts from images."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn

from cv_attention.alphabet import Alphabet
from cv_attention.backbones import Plan
from cv_attention.config import Experiment
from cv_attention.heads import Found, Reading, TextRecognizer
from cv_attention.rundir.facts import TextFacts
from cv_attention.rundir.layout import RunLayout
from cv_attention.training.callbacks.sampling import Sampling, samples
from cv_attention.training.recording.sequences.readings import Readings
from cv_attention.training.recording.sequences.readings_file import ReadingsFile
from cv_attention.training.tasks.interface import Guess
from cv_attention.training.tasks.reading.metrics import create_reading_metrics
from cv_attention.training.tasks.reading.network import build_recognizer
from cv_attention.training.tasks.reading.pointing import AttentionInBox
from cv_attention.training.tasks.selection import Criterion
from cv_attention.training.tasks.task import Task


class Read(NamedTuple):
    """Holds what was read from a batch.

    Attributes:
        readings: A reading for each image.
        truths: The true texts.
        found: Numbers, logarithms of their probabilities, and weights.
    """

    readings: list[Reading]
    truths: list[str]
    found: Found


class Transcriber(Task):
    """Reads texts from uint8 images (B, 3, H, W).

    Batches hold ``tokens``, int64 (B, T): the numbers of each text, its end and padding; and ``width``, int64 (B,), the
    columns of each image that are not padding. Validation and test read freely: no step is told the true text.

    Args:
        experiment: The configuration; ``model.head`` names the head.
        facts: What the network must know of its data set, its alphabet among it; kept in the checkpoint, so that
            nothing else is needed to use the network.

    Attributes:
        alphabet: What the numbers that are written stand for.

    Raises:
        ValueError: if the network, the block, the head or one of their options is unknown.

    Examples:
        >>> import torch
        >>> from cv_attention import config, training
        >>> experiment = config.Experiment(model=config.Model(backbone="convnet", head="gru"))
        >>> facts = training.TextFacts(tuple("0123456789"), "character", 5, (0.5,) * 3, (0.2,) * 3, (48, 128))
        >>> transcriber = training.Transcriber(experiment, facts).eval()
        >>> [reading] = transcriber.read(torch.zeros(1, 3, 48, 128, dtype=torch.uint8))
        >>> len(reading.text) <= 6
        True
    """

    name: ClassVar[str] = "reading"
    criterion: ClassVar[Criterion] = Criterion("cer", higher_is_better=False)
    facts_type: ClassVar[type[Any]] = TextFacts
    options: ClassVar[tuple[str, ...]] = ("optimizer.label_smoothing",)
    predictions_name: ClassVar[str] = RunLayout(Path()).readings.name

    facts: TextFacts
    network: TextRecognizer

    def __init__(self, experiment: Experiment, facts: TextFacts) -> None:
        self.alphabet = alphabet_of(facts)
        super().__init__(experiment, facts)
        self.metrics = create_reading_metrics(self.exact)
        self.pointing = AttentionInBox()

    def build(self) -> tuple[nn.Module, Plan | None]:
        """Builds the backbone with its blocks and the head that writes."""
        facts = self.facts
        return build_recognizer(self.experiment.model, alphabet_of(facts), facts.longest, facts.image_size)

    @property
    def trained_call(self) -> Callable[..., Any]:
        """What a training step calls: the loss of the head, each step of which is told the true text so far."""
        return self.network.loss

    def training_step(self, batch: dict[str, Tensor], step: int) -> Tensor:
        """Returns the loss of a batch; `losses.Losses` logs it, and the epoch's means."""
        images, smoothing = self.normalise(batch["image"]), self.experiment.optimizer.label_smoothing
        loss = self.training_network(images, batch["tokens"], self.columns(batch), smoothing)
        self.epoch_means.add(len(images), loss)
        return loss

    def validation_step(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, batch: dict[str, Tensor], step: int
    ) -> Read:
        """Reads one batch of the validation split and counts its errors."""
        return self._evaluate("val", batch)

    def test_step(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, batch: dict[str, Tensor], step: int
    ) -> Read:
        """Reads one batch of the test split and counts its errors."""
        return self._evaluate("test", batch)

    def _evaluate(self, split: str, batch: dict[str, Tensor]) -> Read:
        memory = self.network.memory(self.normalise(batch["image"]), self.columns(batch))
        found = self.network.head.read(memory)
        readings = self.network.readings(found)
        truths = [self.alphabet.decode(numbers) for numbers in batch["tokens"].tolist()]
        metrics: Any = self.metrics[split]
        metrics.update([reading.text for reading in readings], truths)
        for name, metric in metrics.items():
            self.log(name, metric, on_step=False, on_epoch=True, prog_bar=name.endswith("_cer"), batch_size=len(truths))
        if split == "test" and found.weights is not None and memory.grid is not None and "boxes" in batch:
            self._point(readings, found.weights, batch, memory.grid)
        return Read(readings, truths, found)

    def _point(self, readings: list[Reading], weights: Tensor, batch: dict[str, Tensor], grid: tuple[int, int]) -> None:
        """Counts the characters that the weights of their steps lie on."""
        height, width = batch["image"].shape[-2:]
        true = [self.alphabet.parts(numbers) for numbers in batch["tokens"].tolist()]
        read = [reading.units for reading in readings]
        self.pointing.update(read, true, weights, batch["boxes"], grid, (height, width))
        self.log("test_attention_in_box", self.pointing, on_step=False, on_epoch=True, batch_size=len(read))

    def columns(self, batch: Mapping[str, Tensor]) -> Tensor | None:
        """Returns the columns of each image of `batch` that are not padding; None if none is padded."""
        width = batch.get("width")
        return None if width is None or not self.facts.padded else width

    def read(
        self, images: Tensor, width: Tensor | None = None, *, beams: int = 1, length_penalty: float = 0.0
    ) -> list[Reading]:
        """Reads texts, without gradients.

        Args:
            images: uint8 (B, 3, H, W), of the size that the network was trained on.
            width: How many columns of each image are image, int64 (B,), where the rest is padding; None for all.
            beams: Number of texts that are followed at once; 1 takes the likeliest number of each step.
            length_penalty: α of ``log p / ((5 + length) / 6)^α`` by which texts are compared; 0 compares probabilities.

        Returns:
            A reading for each image.
        """
        return self.network.read(self.normalise(images), width, beams=beams, length_penalty=length_penalty)

    @classmethod
    def facts_of(cls, datamodule: Any) -> TextFacts:
        """Gathers the alphabet, the longest text, and what every task knows of its images."""
        alphabet: Alphabet = datamodule.alphabet
        return TextFacts(
            alphabet.units,
            alphabet.unit,
            datamodule.longest,
            tuple(datamodule.mean),
            tuple(datamodule.std),
            tuple(datamodule.image_size),
            padded=bool(getattr(datamodule, "padded", False)),
        )

    @classmethod
    def check_data(cls, datamodule: Any, facts: TextFacts) -> None:
        """Raises ValueError unless the network knows every unit of the data's texts, and none is too long for it."""
        known, alphabet = alphabet_of(facts), getattr(datamodule, "alphabet", None)
        if alphabet is None:
            raise ValueError(f"{datamodule.source} has no texts, which a network that reads is trained and tested on")
        if alphabet.unit != known.unit:
            raise ValueError(f"the texts are divided into {alphabet.unit}s, and the network writes {known.unit}s")
        if unknown := [unit for unit in alphabet.units if unit not in known.units]:
            shown = ", ".join(map(repr, unknown[:20])) + (f" and {len(unknown) - 20} more" if len(unknown) > 20 else "")
            raise ValueError(f"{datamodule.source} has {known.unit}s that the network does not know: {shown}")
        if alphabet.units != known.units:
            raise ValueError(
                f"{datamodule.source} has other {known.unit}s than the network was trained on, so that their numbers "
                "differ; give it the same alphabet with data.text.alphabet"
            )

    def output_names(self) -> list[str]:
        """Returns the units of the alphabet."""
        return list(self.facts.units)

    def techniques(self) -> list[Callback]:
        """Creates the callback of hard attention."""
        return [Sampling(self.experiment.seed)] if samples(self.network) else []

    def guess(self) -> Guess:
        """Returns the loss ln(V) of guessing among V numbers."""
        outputs = self.alphabet.outputs
        return Guess(math.log(outputs), f"guessing among {outputs} numbers")

    def resume_command(self, run: Path, options: str = "") -> str:
        """Returns the command line that resumes a run."""
        return f"cv-attention fit --resume {run}{f' {options}' if options else ''}"

    def recorders(self, run: Path) -> list[Callback]:
        """Creates the recorders of the test images' texts and of what is read from the probe images."""
        log, callbacks = self.experiment.log, self.prediction_writers(run / self.predictions_name)
        return [*callbacks, Readings(run, log.maps_every, log.probes)] if log.maps_every and log.probes else callbacks

    def prediction_writers(self, path: Path) -> list[Callback]:
        """Creates the callback that writes the text that was read from each test image."""
        return [ReadingsFile(path)]

    def summary(self) -> dict[str, Any]:
        """Returns what ``summary.json`` says of the network, the alphabet and the direction of metrics."""
        directions = {"cer": False, "exact": True, "word_accuracy": True, "attention_in_box": True}
        units = {"units": list(self.facts.units), "unit": self.facts.unit}
        return {**super().summary(), "higher_is_better": directions, "alphabet": units}


def alphabet_of(facts: TextFacts) -> Alphabet:
    """Returns the alphabet of a network's facts."""
    return Alphabet(facts.units, facts.unit)  # pyright: ignore[reportArgumentType]
