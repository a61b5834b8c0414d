"""Records attention and saliency maps of the same few images every few epochs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback

from cv_attention.data.stratifying import strata
from cv_attention.recording import Recorder
from cv_attention.recording.snapshots.snapshot import Snapshot
from cv_attention.saliency import resolve
from cv_attention.training.recording.map_pictures import DRAWN, MapPictures, Photograph, photograph, send


class ProbeMaps(Callback):
    """Writes attention maps and saliency maps of the probe images to ``maps/`` and to the loggers.

    Args:
        run: The run directory.
        every: Epochs between two recordings; the last epoch is always recorded.
        count: Number of probe images, spread over the classes of the validation split.
        methods: Saliency methods to record, by name or class path.

    Attributes:
        recorder: Writes the files; None in processes that write nothing, and before the fit starts.
    """

    def __init__(self, run: Path, every: int, count: int, methods: Sequence[str] = ("grad_cam",)) -> None:
        self.run, self.every, self.count, self.methods = run, every, count, tuple(methods)
        self.recorder: Recorder | None = None
        self._photographs: list[Photograph] = []
        self._restored: dict[str, Any] = {}
        for method in methods:
            try:
                resolve(method)
            except ValueError as error:
                raise ValueError(f"log.saliency: {error}") from error

    def state_dict(self) -> dict[str, Any]:
        """Returns the newest saliency maps: a run resumed after its last epoch still evaluates them."""
        if self.recorder is None or self.recorder.latest_epoch is None:
            return self._restored
        latest = {title: torch.from_numpy(values) for title, values in self.recorder.latest.items()}
        return {"latest": latest, "epoch": self.recorder.latest_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores what `state_dict` returned."""
        self._restored = state_dict

    def on_fit_start(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Chooses the probe images."""
        if not trainer.is_global_zero:
            return
        split = trainer.datamodule.splits["val"]  # pyright: ignore[reportAttributeAccessIssue]
        chosen = spread_over_classes(split.images.labels, self.count)
        samples = [split[index] for index in chosen]
        probes = {key: torch.stack([torch.as_tensor(s[key]) for s in samples]) for key in samples[0]}
        self.recorder = Recorder(
            self.run,
            probes["image"],
            probes["label"],
            pl_module.facts.class_names,
            names=[split.images.short_name(int(sample["index"])) for sample in samples],
            boxes=probes["box"].tolist() if "box" in probes else None,
            normalise=pl_module.normalise,
            mean=pl_module.facts.mean,
            methods=self.methods,
            batch_size=None,
            several=getattr(pl_module, "targets", "single") == "multi",
        )
        if any(isinstance(logger, DRAWN) for logger in trainer.loggers):
            seen = zip(chosen, self.recorder.images.pictures, strict=True)
            self._photographs = [photograph(split.images.read(row), split.pipeline, image) for row, image in seen]
        if self._restored.get("latest"):
            self.recorder.latest = {title: values.numpy() for title, values in self._restored["latest"].items()}
            self.recorder.latest_epoch = self._restored["epoch"]

    def due(self, trainer: lightning.Trainer) -> bool:
        """Returns whether this process records in this epoch."""
        last = trainer.current_epoch + 1 == trainer.max_epochs
        wanted = last or trainer.current_epoch % self.every == 0
        return wanted and self.recorder is not None and not trainer.sanity_checking

    def on_validation_epoch_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Records the maps of this epoch."""
        if not self.due(trainer) or self.recorder is None:
            return
        with trainer.precision_plugin.forward_context():
            snapshot = self.recorder.record(pl_module.network, trainer.current_epoch, step=trainer.global_step)
        if self._photographs:
            pictures = _pictures(self.recorder, self._photographs, snapshot, trainer.current_epoch)
            send(pictures, trainer.loggers, trainer.global_step)


def _pictures(recorder: Recorder, photographs: Sequence[Photograph], snapshot: Snapshot, epoch: int) -> MapPictures:
    assert recorder.class_names is not None
    names: Sequence[str] = recorder.class_names
    rows = recorder.label_rows
    best = (snapshot.logits.softmax(1) if rows is None else snapshot.logits.sigmoid()).max(1)
    if rows is None:
        true = [names[label] for label in recorder.labels.tolist()]
    else:
        true = [", ".join(names[place] for place in row.nonzero()[:, 0].tolist()) or "none" for row in rows]
    return MapPictures(
        epoch=epoch,
        images=recorder.images.pictures,
        photographs=photographs,
        maps={column.title: column.values for column in snapshot.columns.values() if column.values.ndim == 3},
        labels=true,
        predictions=[names[guess] for guess in best.indices.tolist()],
        probabilities=best.values.tolist(),
    )


def spread_over_classes(labels: Any, count: int) -> list[int]:
    """Chooses `count` indices: the first image of every class, then the second of every class, and so on.

    With several classes per image, `strata` stand for the classes.
    """
    labels = strata(np.asarray(labels))
    order = np.argsort(labels, kind="stable")
    sorted_labels = np.asarray(labels)[order]
    starts = np.searchsorted(sorted_labels, sorted_labels)
    rank = np.arange(len(order)) - starts
    chosen = order[np.lexsort((sorted_labels, rank))][:count]
    return sorted(chosen.tolist(), key=lambda index: (labels[index], index))
