"""Explains images on all devices and writes the maps."""

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from cv_attention.config import SaliencyExport
from cv_attention.config.bounds import check_bounds
from cv_attention.exporting.batches import Batch, Batches, Sample, ShardBatches, preparation, resized
from cv_attention.exporting.folder import begin, read
from cv_attention.exporting.outcome import outcome_fields
from cv_attention.exporting.sources import Item, find_items, split_items
from cv_attention.exporting.verification import shard_requests
from cv_attention.exporting.work import Work, carry_out
from cv_attention.extras import require, require_for
from cv_attention.report import sheets
from cv_attention.saliency_export import folder
from cv_attention.saliency_export.bags import BagExplainer, items_of_folders, items_of_split
from cv_attention.saliency_export.maps import Explained, Explainer
from cv_attention.saliency_export.rows import class_fields_of
from cv_attention.saliency_export.writing import ShardWriter
from cv_attention.tables import Markup, html_output
from cv_attention.training.checkpoint.checkpoints import OtherTask
from cv_attention.training.checkpoint.finite import require_finite
from cv_attention.training.loading import load
from cv_attention.training.splits import open_data
from cv_attention.training.tasks.bags import BagClassifier
from cv_attention.training.tasks.labels.multi_label import MultiLabelClassifier


@dataclass(frozen=True)
class Exported:
    """Holds the outcome of an export.

    Attributes:
        manifest: Path of the manifest.
        explained: Number of images explained, including earlier, interrupted runs.
        failed: Number of images that could not be used; the manifest gives the reasons.
        first_failure: Error of the first of them, or an empty string.
        left: Number of remaining images.
        error: Why the export stopped early, or an empty string.
        seconds: Duration, without loading the network.
        new: Number of images done in this run.
        signal: The signal that stopped the export, or 0.
        is_main: Whether this process reports the outcome.
        not_finite: Number of images with NaN or infinite values in a map or logits; the manifest shows which.

    Examples:
        >>> from pathlib import Path
        >>> from cv_attention.saliency_export import Exported
        >>> outcome = Exported(
        ...     Path("maps/manifest.jsonl"), explained=90, failed=0, left=10, error="", seconds=4.5, new=90
        ... )
        >>> outcome.left  # run the export again for these
        10
    """

    manifest: Path
    explained: int
    failed: int
    left: int
    error: str
    seconds: float
    new: int
    signal: int = 0
    is_main: bool = True
    first_failure: str = ""
    not_finite: int = 0

    def _repr_html_(self) -> str:
        words = f"{self.explained} images explained, {self.failed} left out, {self.left} left: {self.manifest}"
        try:
            figure = [
                Markup(sheets.figure(self.manifest.parent, ["0-3"] if self.explained > 3 else None)._repr_html_())
            ]
        except (ValueError, OSError):  # exports without maps or inputs
            figure = []
        return html_output(words, self.error, *figure)


def export_saliency(
    checkpoint: Path | Explained,
    sources: Sequence[Path],
    out: Path,
    config: SaliencyExport,
    *,
    split: str | None = None,
    root: str | None = None,
    overwrite: bool = False,
    progress: bool = False,
    trust: Collection[str] = (),
) -> Exported:
    """Explains images with a trained network and writes maps, pictures and a manifest; see ``docs/saliency_export.md``.

    An image passes through the run's evaluation transforms, or is resized to the network's image size where they leave
    another one. SIGTERM and Ctrl-C end it after the present batch: whole shards stay, the manifest lists them.
    Run again after an interruption, it continues with the missing shards.

    Args:
        checkpoint: The trained network: a checkpoint, or what `open_pretrained` returned.
        sources: Image files, folders, tar archives.
        out: Folder to write to.
        config: What to compute and how to write it.
        split: ``train``, ``val`` or ``test`` of the run's data set, instead of `sources`.
        root: Location of that data set, if it has moved since training.
        overwrite: Whether another export in `out` may be replaced.
        progress: Whether to show a progress bar.
        trust: Modules and classes that the checkpoint may name, such as ``my_block``; see `load`.

    Returns:
        The path of the manifest, and the numbers of images that were explained, failed and are left.

    Raises:
        FileNotFoundError: if a source does not exist.
        ValueError: if there is no image, an option is wrong, or `out` holds another export.

    Examples:
        >>> from pathlib import Path
        >>> from PIL import Image
        >>> from cv_attention import config, saliency_export, training
        >>> Path("photos").mkdir()
        >>> Image.new("RGB", (48, 48), "red").save("photos/red.png")
        >>> experiment = config.Experiment(model=config.Model(options={"width": 4}))
        >>> facts = training.DataFacts(("cat", "dog"), (0.5, 0.5, 0.5), (0.2, 0.2, 0.2), image_size=(32, 32))
        >>> classifier = training.Classifier(experiment, facts).eval()  # a checkpoint's path in practice
        >>> settings = config.SaliencyExport(method="grad_cam", accelerator="cpu")
        >>> outcome = saliency_export.export_saliency(classifier, [Path("photos")], Path("maps"), settings)
        >>> outcome.explained, outcome.manifest.name
        (1, 'manifest.jsonl')
    """
    _check(config, sources, split)
    classifier = require_finite(_opened(checkpoint, trust), checkpoint)
    prepare, bags = _preparation(classifier, config), isinstance(classifier, BagClassifier)
    if split:
        opened = open_data(classifier, root, split).splits[split]
        items, members = items_of_split(opened) if bags else (split_items(opened), None)
    else:
        items = find_items(sources, out, len(classifier.facts.class_names), classifier.experiment.data.bits)
        items, members = items_of_folders(items) if bags else (items, None)
    if isinstance(classifier, BagClassifier) and members is not None:
        explainer = BagExplainer(classifier, config, items, members, prepare)
    else:
        explainer = Explainer(classifier, config)
    _check_labels(config, items)
    named = [f"split {split}"] if split else [str(source) for source in sources]
    described = folder.describe(checkpoint, classifier, named, items, explainer.columns, config)
    requests = shard_requests(described, items, config.shard_size)
    writer = ShardWriter(out, config, items, explainer.columns, class_fields_of(classifier), requests)
    work = _Explaining(explainer, items, writer, prepare)
    return carry_out(
        work,
        lambda: begin(out, described, items, config, overwrite, folder.COUNTS),
        lambda before, seconds, is_main: _summary(out, config, work, before, seconds, is_main),
        command="saliency",
        progress=progress,
    )


def _opened(checkpoint: Path | Explained, trust: Collection[str]) -> Explained:
    """Opens a network that classifies images, with one or several classes each, or bags of images."""
    if isinstance(checkpoint, BagClassifier):
        return checkpoint
    try:
        return load(checkpoint, trust)
    except OtherTask as error:
        for task in (MultiLabelClassifier, BagClassifier):
            with suppress(OtherTask):
                return load(checkpoint, trust, task=task)
        raise error


def _preparation(classifier: Explained, config: SaliencyExport) -> Callable[[int, Item], Sample]:
    size = classifier.facts.image_size
    regions_at = size if config.photographs else None
    return preparation(classifier.experiment.data.eval_transforms, partial(resized, size=size), regions_at=regions_at)


class _Explaining(Work):
    """Explains the batches of this process."""

    verb = "explaining"
    writer: ShardWriter

    def __init__(
        self, explainer: Explainer, items: list[Item], writer: ShardWriter, prepare: Callable[[int, Item], Sample]
    ) -> None:
        super().__init__(explainer.classifier, explainer.config, items, writer)
        self.explainer, self.prepare = explainer, prepare

    def batches(self, parts: ShardBatches, stopped: Callable[[], bool]) -> Batches:
        """Decodes images and passes them through the evaluation transforms."""
        return Batches(self.items, parts, self.prepare, self.config.workers, stopped)

    def process(self, batch: Batch) -> None:
        """Explains one batch."""
        maps: dict[str, np.ndarray] = {}
        logits, targets, more = np.empty((0, 0), np.float32), [], []
        if batch.images is not None:
            labels = [self.items[sample.number].label for sample in batch.samples]
            images, numbers = batch.images.to(self.device, non_blocking=True), [one.number for one in batch.samples]
            maps, logits, targets, more = self.explainer.explain(images, labels, numbers)
        self.writer.add(batch, maps, logits, targets, more)

    def finish(self) -> None:
        """Writes the manifest."""
        folder.finish(self.writer.out, self.writer.config, self.shards)


def _check(config: SaliencyExport, sources: Sequence[Path], split: str | None) -> None:
    check_bounds(config)
    if bool(sources) == (split is not None):
        raise ValueError("give images, folders or archives, or a split of the run's data set")
    if config.manifest == "parquet":
        require("parquet", "manifest parquet")
    for method in config.methods:
        require_for(method)


def _check_labels(config: SaliencyExport, items: Sequence[Item]) -> None:
    if config.target == "true" and any(item.label is None for item in items):
        unknown = next(item.title for item in items if item.label is None)
        raise ValueError(f"target is true, but the class of {unknown} is unknown; use a split or labelled archives")


def _summary(
    out: Path, config: SaliencyExport, work: _Explaining, before: int, seconds: float, is_main: bool
) -> Exported:
    fields = outcome_fields(work, "explained", before, seconds, is_main)
    return Exported(out / f"manifest.{config.manifest}", **fields, not_finite=read(out).get("not_finite", 0))
