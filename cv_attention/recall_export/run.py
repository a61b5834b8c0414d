"""Names images by a few labelled ones, on all devices, and writes the answers."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from cv_attention.config import RecallExport
from cv_attention.config.bounds import check_bounds
from cv_attention.exporting.batches import Batch, Batches, ShardBatches
from cv_attention.exporting.folder import begin
from cv_attention.exporting.outcome import outcome_fields
from cv_attention.exporting.sources import Item, find_items
from cv_attention.exporting.verification import shard_requests
from cv_attention.exporting.work import Work, carry_out
from cv_attention.heads.few_shot.features import features
from cv_attention.recall_export import folder
from cv_attention.recall_export.support import Support, open_support
from cv_attention.recall_export.writing import RecallWriter
from cv_attention.rundir.layout import ExportLayout
from cv_attention.statistics import Interval, wilson
from cv_attention.training.checkpoint.finite import require_finite
from cv_attention.training.loading import load
from cv_attention.training.tasks.classifier import Classifier


@dataclass(frozen=True)
class RecalledImages:
    """Holds the outcome of naming images.

    Attributes:
        classes: Path of ``classes.csv``.
        recognised: Number of images that were named, including earlier, interrupted runs.
        failed: Number of images that could not be used.
        first_failure: Error of the first of them, or an empty string.
        left: Number of remaining images.
        error: Why the export stopped early, or an empty string.
        seconds: Duration, without loading the network and the labelled images.
        new: Number of images done in this run.
        signal: The signal that stopped the export, or 0.
        is_main: Whether this process reports the outcome.

    Examples:
        >>> from pathlib import Path
        >>> from cv_attention.recall_export import RecalledImages
        >>> outcome = RecalledImages(
        ...     Path("out/classes.csv"), recognised=90, failed=0, first_failure="", left=10, error="", seconds=4, new=90
        ... )
        >>> outcome.recognised, outcome.classes.name
        (90, 'classes.csv')
    """

    classes: Path
    recognised: int
    failed: int
    first_failure: str
    left: int
    error: str
    seconds: float
    new: int
    signal: int = 0
    is_main: bool = True


@dataclass(frozen=True)
class LeftOut:
    """Holds how often labelled images are named rightly by all the others.

    Attributes:
        accuracy: The share, with its Wilson interval (95 %).
        right: Number of images that were named rightly, by class.
        count: Number of images, by class.

    Examples:
        >>> from cv_attention.recall_export import LeftOut
        >>> from cv_attention.statistics import wilson
        >>> print(LeftOut(wilson(9, 10), {"nut": 4, "bolt": 5}, {"nut": 5, "bolt": 5}).accuracy)
        0.900 [0.596, 0.982]
    """

    accuracy: Interval
    right: dict[str, int]
    count: dict[str, int]


def recall_images(
    checkpoint: Path | Classifier,
    support: Path | Support,
    sources: Sequence[Path],
    out: Path,
    config: RecallExport,
    *,
    overwrite: bool = False,
    progress: bool = False,
    trust: Collection[str] = (),
) -> RecalledImages:
    """Names images by a folder of labelled ones, and writes ``classes.csv`` and pictures; see ``docs/few_shot.md``.

    All images pass through the run's evaluation transforms, and are resized to the network's image size. SIGTERM and
    Ctrl-C end it after the present batch: whole shards stay. Run again after an interruption, it continues with the
    missing shards.

    Args:
        checkpoint: The trained network: a checkpoint, or a `Classifier`.
        support: Folder with a folder of images for each class, or what `open_support` returned.
        sources: Image files, folders, globs, tar archives.
        out: Folder to write to.
        config: How to compare images, and what to write.
        overwrite: Whether another export in `out` may be replaced.
        progress: Whether to show a progress bar.
        trust: Modules and classes that the checkpoint may name, such as ``my_block``; see `training.load`.

    Returns:
        The path of the table, and the numbers of images that were named, failed and are left.

    Raises:
        FileNotFoundError: if a source does not exist.
        ValueError: if there is no image, an option is wrong, or `out` holds another export.

    Examples:
        >>> from pathlib import Path
        >>> from PIL import Image
        >>> from cv_attention import config, recall_export, training
        >>> for name in ("red", "blue"):
        ...     Path("parts", name).mkdir(parents=True)
        ...     Image.new("RGB", (40, 40), name).save(f"parts/{name}/one.png")
        >>> Image.new("RGB", (60, 50), "red").save("which.png")
        >>> experiment = config.Experiment(model=config.Model(options={"width": 4}))
        >>> facts = training.DataFacts(("cat", "dog"), (0.5, 0.5, 0.5), (0.2, 0.2, 0.2), image_size=(32, 32))
        >>> classifier = training.Classifier(experiment, facts).eval()  # a checkpoint's path in practice
        >>> settings = config.RecallExport(accelerator="cpu")
        >>> outcome = recall_export.recall_images(
        ...     classifier, Path("parts"), [Path("which.png")], Path("named"), settings
        ... )
        >>> outcome.recognised, outcome.classes.name
        (1, 'classes.csv')
    """
    check_bounds(config)
    if not sources:
        raise ValueError("give image files, folders or globs to name")
    classifier = require_finite(load(checkpoint, trust), checkpoint)
    shown = support if isinstance(support, Support) else open_support(support, classifier, config, progress=progress)
    items = find_items(sources, out, 0, shown.bits)
    described = folder.describe(checkpoint, shown, [str(source) for source in sources], items, config)
    writer = RecallWriter(out, config, items, shown, shard_requests(described, items, config.shard_size))
    work = _Recalling(shown, config, items, writer)
    notices = [*shown.notices, f"strength {shown.memory.strength:g}, {shown.memory.strength_from}"]
    return carry_out(
        work,
        lambda: [*notices, *begin(out, described, items, config, overwrite, folder.COUNTS)],
        lambda *ended: RecalledImages(ExportLayout(out).classes, **outcome_fields(work, "recognised", *ended)),
        command="recall",
        progress=progress,
    )


def leave_one_out(support: Support) -> LeftOut:
    """Names every labelled image by all the others.

    Images that are alone in their class are always named wrongly, and β was chosen on these images too.

    Args:
        support: The labelled images.

    Returns:
        The share that was named rightly, with its interval, and the counts by class.

    Raises:
        ValueError: if every class has a single image.

    Examples:
        >>> from pathlib import Path
        >>> from PIL import Image
        >>> from cv_attention import config, recall_export, training
        >>> for name in ("red", "blue"):
        ...     Path("parts", name).mkdir(parents=True)
        ...     for shade in (150, 250):
        ...         Image.new("RGB", (40, 40), (shade, 0, 0) if name == "red" else (0, 0, shade)).save(
        ...             f"parts/{name}/{shade}.png"
        ...         )
        >>> experiment = config.Experiment(model=config.Model(options={"width": 4}))
        >>> facts = training.DataFacts(("cat", "dog"), (0.5, 0.5, 0.5), (0.2, 0.2, 0.2), image_size=(32, 32))
        >>> classifier = training.Classifier(experiment, facts).eval()  # `training.load` opens a trained one
        >>> support = recall_export.open_support(Path("parts"), classifier, config.RecallExport())
        >>> recall_export.leave_one_out(support).count
        {'blue': 2, 'red': 2}
    """
    memory = support.memory
    if len(memory) == len(memory.classes):
        raise ValueError("every class has a single labelled image, so that none can be left out; add a second one")
    right, count = dict.fromkeys(map(str, memory.classes), 0), dict.fromkeys(map(str, memory.classes), 0)
    for label, answer in zip(memory.labels, memory.leave_one_out(), strict=True):
        count[str(label)] += 1
        right[str(label)] += label == answer
    return LeftOut(wilson(sum(right.values()), len(memory)), right, count)


class _Recalling(Work):
    """Names the images of the batches of this process."""

    verb = "naming"
    network: Classifier
    config: RecallExport
    writer: RecallWriter

    def __init__(self, support: Support, config: RecallExport, items: list[Item], writer: RecallWriter) -> None:
        super().__init__(support.classifier, config, items, writer)
        self.support = support
        self.reader = support.reader

    def batches(self, parts: ShardBatches, stopped: Callable[[], bool]) -> Batches:
        """Decodes images and passes them through the evaluation transforms."""
        return Batches(self.items, parts, self.support.prepare(), self.config.workers, stopped)

    def process(self, batch: Batch) -> None:
        """Names the images of one batch."""
        if batch.images is None:
            self.writer.add(batch, None)
            return
        with torch.no_grad():
            images = self.network.normalise(batch.images.to(self.device, non_blocking=True))
            queries = features(self.reader, images, self.config.batch_size)
        self.writer.add(batch, self.support.memory.compare(queries))

    def finish(self) -> None:
        """Writes the table."""
        folder.finish(self.writer.out, self.shards)
