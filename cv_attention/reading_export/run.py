"""Reads the texts of images on all devices and writes them."""

import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from cv_attention.config import ReadingExport
from cv_attention.config.bounds import check_bounds
from cv_attention.data.texts.fitting import Fit
from cv_attention.exporting.batches import Batch, Batches, ShardBatches, preparation
from cv_attention.exporting.folder import begin, read
from cv_attention.exporting.outcome import outcome_fields
from cv_attention.exporting.sources import Item, expanded, find_items
from cv_attention.exporting.verification import shard_requests
from cv_attention.exporting.work import Work, carry_out
from cv_attention.reading_export import folder
from cv_attention.reading_export.labels import find_truths
from cv_attention.reading_export.pictures import Found
from cv_attention.reading_export.writing import ReadingWriter
from cv_attention.rundir.layout import ExportLayout
from cv_attention.training.checkpoint.finite import require_finite
from cv_attention.training.loading import load
from cv_attention.training.tasks.reading.transcriber import Transcriber


@dataclass(frozen=True)
class ReadImages:
    """Holds the outcome of reading images.

    Attributes:
        readings: Path of ``readings.csv``.
        read: Number of images read, including earlier, interrupted runs.
        failed: Number of images that could not be used.
        first_failure: Error of the first of them, or an empty string.
        left: Number of remaining images.
        error: Why the export stopped early, or an empty string.
        seconds: Duration, without loading the network.
        new: Number of images done in this run.
        cer: Character error rate of the images whose true text is known; None without any.
        exact: Share of these images that were read without an error.
        signal: The signal that stopped the export, or 0.
        is_main: Whether this process reports the outcome.

    Examples:
        >>> from pathlib import Path
        >>> from cv_attention.reading_export import ReadImages
        >>> outcome = ReadImages(
        ...     Path("out/readings.csv"), read=90, failed=0, first_failure="", left=10, error="", seconds=4.5, new=90,
        ...     cer=0.01, exact=0.95
        ... )
        >>> outcome.read, outcome.readings.name
        (90, 'readings.csv')
    """

    readings: Path
    read: int
    failed: int
    first_failure: str
    left: int
    error: str
    seconds: float
    new: int
    cer: float | None
    exact: float | None
    signal: int = 0
    is_main: bool = True


def read_images(
    checkpoint: Path | Transcriber,
    sources: Sequence[Path],
    out: Path,
    config: ReadingExport,
    *,
    overwrite: bool = False,
    progress: bool = False,
    trust: Collection[str] = (),
) -> ReadImages:
    """Reads texts from images with a trained network and writes ``readings.csv`` and pictures; see ``docs/reading.md``.

    An image passes through the run's evaluation transforms; what they leave is resized to the network's image size with
    its aspect kept, and padded. SIGTERM and Ctrl-C end it after the present batch: whole shards stay. Run again after
    an interruption, it continues with the missing shards.

    Args:
        checkpoint: The trained network: a checkpoint, or a `Transcriber`.
        sources: Image files, folders, globs, tar archives. The truths of a folder with a label file are used.
        out: Folder to write to.
        config: How to read, and what to write.
        overwrite: Whether another export in `out` may be replaced.
        progress: Whether to show a progress bar.
        trust: Modules and classes that the checkpoint may name, such as ``my_block``; see `training.load`.

    Returns:
        The path of the table, and the numbers of images that were read, failed and are left.

    Raises:
        FileNotFoundError: if a source does not exist.
        ValueError: if there is no image, an option or a label file is wrong, or `out` holds another export.

    Examples:
        >>> from pathlib import Path
        >>> from PIL import Image
        >>> from cv_attention import config, reading_export, training
        >>> Path("words").mkdir()
        >>> Image.new("RGB", (90, 30), "white").save("words/one.png")
        >>> experiment = config.Experiment(model=config.Model(backbone="convnet", head="gru"))
        >>> facts = training.TextFacts(tuple("0123456789"), "character", 5, (0.5,) * 3, (0.2,) * 3, (48, 128))
        >>> network = training.Transcriber(experiment, facts).eval()  # a checkpoint's path in practice
        >>> settings = config.ReadingExport(beams=2, accelerator="cpu")
        >>> outcome = reading_export.read_images(network, [Path("words")], Path("read"), settings)
        >>> outcome.read, outcome.readings.name
        (1, 'readings.csv')
    """
    check_bounds(config)
    if not sources:
        raise ValueError("give image files, folders or globs to read")
    transcriber = require_finite(load(checkpoint, trust, task=Transcriber), checkpoint)
    config, notices = _drawable(config, transcriber)
    items = find_items(sources, out, 0, transcriber.experiment.data.bits)
    truths = _truths(sources, items, transcriber, out)
    described = folder.describe(checkpoint, transcriber, [str(source) for source in sources], items, truths, config)
    writer = ReadingWriter(out, config, items, truths, shard_requests(described, items, config.shard_size))
    work = _Reading(transcriber, config, items, writer)
    return carry_out(
        work,
        lambda: [*notices, *begin(out, described, items, config, overwrite, folder.COUNTS)],
        lambda before, seconds, is_main: _summary(out, work, before, seconds, is_main),
        command="read",
        progress=progress,
    )


class _Reading(Work):
    """Reads the batches of this process."""

    verb = "reading"
    network: Transcriber
    config: ReadingExport
    writer: ReadingWriter

    def batches(self, parts: ShardBatches, stopped: Callable[[], bool]) -> Batches:
        """Decodes images, passes them through the evaluation transforms, resizes and pads them."""
        height, width = self.network.facts.image_size
        prepare = preparation(self.network.experiment.data.eval_transforms, Fit(height, width))
        return Batches(self.items, parts, prepare, self.config.workers, stopped)

    def process(self, batch: Batch) -> None:
        """Reads one batch."""
        self.writer.add(batch, [] if batch.images is None else self._read(batch))

    @torch.no_grad()
    def _read(self, batch: Batch) -> list[Found]:
        assert batch.images is not None
        images = self.network.normalise(batch.images.to(self.device, non_blocking=True))
        width = torch.tensor([sample.columns for sample in batch.samples], device=self.device)
        network = self.network.network
        memory = network.memory(images, self.network.columns({"width": width}))
        options = {"beams": self.config.beams, "length_penalty": self.config.length_penalty}
        found = network.head.read(memory, **options)
        heats: list[np.ndarray | None] = [None] * len(images)
        if found.weights is not None and memory.grid is not None:
            heats = list(found.weights.float().mean(1).unflatten(-1, memory.grid).cpu().numpy())
        readings = network.readings(found)
        return [
            Found(reading, None if heat is None else heat[: len(reading.units)])
            for reading, heat in zip(readings, heats, strict=True)
        ]

    def finish(self) -> None:
        """Writes the table."""
        folder.finish(self.writer.out, self.shards)


def _drawable(config: ReadingExport, transcriber: Transcriber) -> tuple[ReadingExport, list[str]]:
    """Leaves pictures out where the head has no attention, and says so."""
    if transcriber.network.head.map is not None or config.alignments == config.crops == "none":
        return config, []
    kind = type(transcriber.network.head).__name__
    return replace(config, alignments="none", crops="none"), [f"{kind} has no attention, so no pictures are written"]


def _truths(sources: Sequence[Path], items: Sequence[Item], transcriber: Transcriber, out: Path) -> dict[int, str]:
    """Returns the true text of each image by its number, where it is known."""
    folders = [path for source in sources for path in expanded(source)]
    texts = find_truths(folders, transcriber.experiment.data.text, out)
    numbers = enumerate(os.path.abspath(item.title) for item in items)
    return {number: texts[path] for number, path in numbers if path in texts}


def _summary(out: Path, work: _Reading, before: int, seconds: float, is_main: bool) -> ReadImages:
    said, fields = read(out), outcome_fields(work, "read", before, seconds, is_main)
    return ReadImages(ExportLayout(out).readings, **fields, cer=said.get("cer"), exact=said.get("exact"))
