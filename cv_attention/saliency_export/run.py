"""Runs an export on all devices, through Lightning's `Trainer.predict`."""

import sys
import time
import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import numpy as np
from lightning.pytorch.callbacks import Callback

from cv_attention.config import SaliencyExport
from cv_attention.config.bounds import check_bounds
from cv_attention.extras import require, require_for
from cv_attention.saliency_export import folder
from cv_attention.saliency_export.batches import Batch, Batches, ShardBatches
from cv_attention.saliency_export.maps import Explainer
from cv_attention.saliency_export.progress import ImageProgress
from cv_attention.saliency_export.sources import Item, find_items, split_items
from cv_attention.saliency_export.verification import missing, shard_requests
from cv_attention.saliency_export.writing import ShardWriter
from cv_attention.training.checkpoint.finite import require_finite
from cv_attention.training.loading import load
from cv_attention.training.splits import open_data
from cv_attention.training.stopping.ending import raising_keyboard_interrupt
from cv_attention.training.stopping.interruption import Interruption, silence_lightning
from cv_attention.training.tasks.classifier import Classifier
from cv_attention.training.trainer import quieten


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


def export_saliency(
    checkpoint: Path | Classifier,
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
    classifier = require_finite(load(checkpoint, trust), checkpoint)
    explainer = Explainer(classifier, config)
    if split:
        items = split_items(open_data(classifier, root, split).splits[split])
    else:
        items = find_items(sources, out, len(classifier.facts.class_names), classifier.experiment.data.bits)
    _check_labels(config, items)
    named = [f"split {split}"] if split else [str(source) for source in sources]
    described = folder.describe(checkpoint, classifier, named, items, explainer.columns, config)
    requests = shard_requests(described, items, config.shard_size)
    writer = ShardWriter(out, config, items, explainer.columns, classifier.facts.class_names, requests)
    interruption = Interruption(pass_on=lambda number: _tell_children(trainer, number))
    work = _Work(explainer, items, writer, interruption)
    bar: list[Callback] = [ImageProgress()] if progress else []
    trainer = _trainer(config, [_Merge(), *bar])
    if trainer.global_rank == 0:
        for line in folder.begin(out, described, items, config, overwrite):
            print(f"saliency: {line}", file=sys.stderr, flush=True)
    before, start = work.images_of(missing(out, work.shards)), time.perf_counter()
    with raising_keyboard_interrupt(
        lambda: "; run the same command again to resume" if trainer.is_global_zero else None
    ):
        interruption.listen()
        try:
            trainer.predict(work, return_predictions=False)
            # Still listening: what a signal finds complete is reported as complete.
            return _summary(out, config, work, before, time.perf_counter() - start, trainer.global_rank == 0)
        finally:
            interruption.stop_listening()


class _Work(lightning.LightningModule):
    """Explains the batches of this process and passes them to its writer."""

    def __init__(
        self, explainer: Explainer, items: list[Item], writer: ShardWriter, interruption: Interruption
    ) -> None:
        super().__init__()
        self.allow_zero_length_dataloader_with_multiple_devices = True  # fewer shards than devices
        self.classifier, self.explainer, self.items, self.writer = explainer.classifier, explainer, items, writer
        self.interruption = interruption
        self.shards = -(-len(items) // explainer.config.shard_size)

    def images_of(self, shards: Sequence[int]) -> int:
        """Counts the images of these shards; the last shard may be smaller."""
        size = self.explainer.config.shard_size
        return sum(min(size, len(self.items) - shard * size) for shard in shards)

    def predict_dataloader(self) -> Batches:
        """Divides the missing shards as seen by process 0; others would see files being written meanwhile."""
        config, trainer, out = self.explainer.config, self.trainer, self.writer.out
        left = missing(out, self.shards) if trainer.is_global_zero else []
        left = trainer.strategy.broadcast(left)
        rank = {"rank": trainer.global_rank, "world_size": trainer.world_size}
        parts = ShardBatches(len(self.items), config.shard_size, config.batch_size, left, **rank)
        steps, size = self.classifier.experiment.data.eval_transforms, self.classifier.facts.image_size
        return Batches(self.items, parts, steps, size, config.workers, self._stopped)

    def _stopped(self) -> bool:
        return self.interruption.received > 0 or self.writer.stopped.is_set()

    def on_predict_start(self) -> None:
        self.interruption.follow_fork()
        self.writer.open()

    def on_predict_end(self) -> None:
        self.writer.close()

    def predict_step(self, batch: Batch, step: int) -> int:
        """Explains one batch; returns its number of images."""
        maps: dict[str, np.ndarray] = {}
        logits, targets = np.empty((0, 0), np.float32), []
        if batch.images is not None:
            labels = [self.items[sample.number].label for sample in batch.samples]
            maps, logits, targets = self.explainer(batch.images.to(self.device, non_blocking=True), labels)
        self.writer.add(batch, maps, logits, targets)
        return len(batch)


class _Merge(Callback):
    """Writes the manifest in the first process, once all processes have written their shards."""

    def teardown(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str) -> None:
        assert isinstance(pl_module, _Work)
        trainer.strategy.barrier("shards are written")
        writer = pl_module.writer
        if trainer.is_global_zero:
            try:
                folder.finish(writer.out, writer.config, pl_module.shards)
            except OSError as error:  # the disk is still full
                writer.error = writer.error or " ".join(str(error).split())
        trainer.strategy.barrier("the manifest is written")


def _check(config: SaliencyExport, sources: Sequence[Path], split: str | None) -> None:
    check_bounds(config)
    if bool(sources) == (split is not None):
        raise ValueError("give images, folders or archives, or a split of the run's data set")
    if config.manifest == "parquet":
        require("parquet", "manifest parquet")
    require_for(config.method)


def _check_labels(config: SaliencyExport, items: Sequence[Item]) -> None:
    if config.target == "true" and any(item.label is None for item in items):
        unknown = next(item.title for item in items if item.label is None)
        raise ValueError(f"target is true, but the class of {unknown} is unknown; use a split or labelled archives")


def _trainer(config: SaliencyExport, callbacks: list[Callback]) -> lightning.Trainer:
    quieten()
    warnings.filterwarnings(
        "ignore", r"Total length of `\w+` across ranks is zero"
    )  # a finished export that is run again
    arguments: dict[str, Any] = {
        name: getattr(config, name) for name in ("accelerator", "devices", "num_nodes", "strategy", "precision")
    }
    trainer = lightning.Trainer(
        **arguments,
        callbacks=callbacks,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,  # `ShardBatches` divides by rank, without padding
        inference_mode=False,  # inference tensors would have to be copied for autograd
    )
    silence_lightning(trainer)
    return trainer


def _tell_children(trainer: lightning.Trainer, number: int) -> None:
    """Sends a signal to the processes that Lightning launched from this one."""
    launcher: Any = trainer.strategy.launcher
    if launcher is not None:
        launcher.kill(number)


def _summary(out: Path, config: SaliencyExport, work: _Work, before: int, seconds: float, is_main: bool) -> Exported:
    said, left = folder.read(out), missing(out, work.shards)
    failures = is_main and said["failed"] > 0
    waiting, stopped = work.images_of(left), work.interruption.received if left else 0
    return Exported(
        out / f"manifest.{config.manifest}",
        said["explained"],
        len(work.items) - waiting - said["explained"],
        waiting,
        work.writer.error or ("a process stopped early" if left and not stopped else ""),
        seconds,
        before - waiting,
        stopped,
        is_main,
        folder.first_failure(out, work.shards) if failures else "",
        said.get("not_finite", 0),
    )
