"""Records attention and saliency maps of the same few images every few epochs."""

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from PIL import Image
from torch import Tensor
from torch.nn import functional

from cv_attention.maps import RecordedMap, record, to_heatmap
from cv_attention.maps.adapters import adapter_of
from cv_attention.rundir.files import write_bytes, write_text
from cv_attention.saliency import METHODS
from cv_attention.suggest import suggest
from cv_attention.training.recording.map_pictures import MapPictures, send


class ProbeMaps(Callback):
    """Writes each block's attention maps and saliency maps of the probe images to ``maps/`` and to the loggers.

    Args:
        run: The run directory.
        every: Epochs between two recordings; the last epoch is always recorded.
        count: Number of probe images, spread over the classes of the validation split.
        methods: Saliency methods of `cv_attention.saliency.METHODS` to record.

    Attributes:
        probes: The probe images (``image``, uint8), their ``label`` and, where known, ``box``.
        latest: The newest saliency maps (N, h, w) by title, `latest_epoch` their epoch, and `latest_logits`.
    """

    def __init__(self, run: Path, every: int, count: int, methods: Sequence[str] = ("grad_cam",)) -> None:
        self.folder, self.every, self.count, self.methods = run / "maps", every, count, tuple(methods)
        self.probes: dict[str, Tensor] = {}
        self.latest: dict[str, np.ndarray] = {}
        self.latest_epoch, self.latest_logits = -1, torch.empty(0)
        for method in methods:
            if method not in METHODS:
                raise ValueError(
                    f"log.saliency: there is no method {method!r}{suggest(method, METHODS, shown=len(METHODS))}"
                )

    def state_dict(self) -> dict[str, Any]:
        """The newest saliency maps: a run that is resumed after its last epoch still judges them."""
        return {"latest": {t: torch.from_numpy(v) for t, v in self.latest.items()}, "epoch": self.latest_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes up what `state_dict` returned."""
        self.latest = {title: values.numpy() for title, values in state_dict["latest"].items()}
        self.latest_epoch = state_dict["epoch"]

    def on_fit_start(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Chooses the probe images and writes them down, once per run."""
        split = trainer.datamodule.splits["val"]  # pyright: ignore[reportAttributeAccessIssue]
        samples = [split[index] for index in spread_over_classes(split.images.labels, self.count)]
        self.probes = {key: torch.stack([torch.as_tensor(s[key]) for s in samples]) for key in samples[0]}
        if trainer.is_global_zero:
            self._write_probes(pl_module.facts.class_names, [split.images.short_name(int(s["index"])) for s in samples])

    def due(self, trainer: lightning.Trainer) -> bool:
        """Whether this process records in this epoch."""
        last = trainer.current_epoch + 1 == trainer.max_epochs
        wanted = last or trainer.current_epoch % self.every == 0
        return wanted and trainer.is_global_zero and not trainer.sanity_checking

    def on_validation_epoch_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Records the maps of this epoch."""
        if not self.due(trainer):
            return
        images = self.probes["image"].to(pl_module.device)
        with trainer.precision_plugin.forward_context():
            columns, logits = probe(pl_module, images, *self.methods)
        self._write_epoch(trainer, columns, logits)
        self.latest = {c.title: c.values for c in columns.values() if c.source == "saliency" and c.values.ndim == 3}
        self.latest_epoch, self.latest_logits = trainer.current_epoch, logits
        send(self._pictures(trainer.current_epoch, columns, logits, pl_module), trainer.loggers, trainer.global_step)

    def _write_probes(self, class_names: tuple[str, ...], names: list[str]) -> None:
        rows = []
        for number, image in enumerate(self.probes["image"]):
            name = f"images/{number:04d}.png"
            buffer = io.BytesIO()
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(buffer, "PNG")
            write_bytes(self.folder / name, buffer.getvalue())
            box = self.probes["box"][number].tolist() if "box" in self.probes else None
            label = int(self.probes["label"][number])
            rows.append({"image": name, "name": names[number], "label": label, "box": box})
        write_text(self.folder / "probes.json", json.dumps({"class_names": class_names, "probes": rows}, indent=1))

    def _write_epoch(self, trainer: lightning.Trainer, columns: Mapping[str, "Column"], logits: Tensor) -> None:
        stem = self.folder / f"epoch-{trainer.current_epoch:04d}"
        about = {
            "epoch": trainer.current_epoch,
            "step": trainer.global_step,
            "columns": {key: {"title": c.title, "source": c.source, "kind": c.kind} for key, c in columns.items()},
            "predictions": logits.argmax(1).tolist(),
            "probabilities": [[round(p, 6) for p in row] for row in logits.softmax(1).tolist()],
            "losses": functional.cross_entropy(logits, self.probes["label"], reduction="none").tolist(),
        }
        buffer = io.BytesIO()
        np.savez(buffer, **{key: column.values for key, column in columns.items()})  # pyright: ignore[reportArgumentType]
        write_bytes(stem.with_suffix(".npz"), buffer.getvalue())
        write_text(stem.with_suffix(".json"), json.dumps(about))

    def _pictures(self, epoch: int, columns: Mapping[str, "Column"], logits: Tensor, classifier: Any) -> MapPictures:
        names, best = classifier.facts.class_names, logits.softmax(1).max(1)
        return MapPictures(
            epoch=epoch,
            images=self.probes["image"].permute(0, 2, 3, 1).numpy(),
            maps={column.title: column.values for column in columns.values() if column.values.ndim == 3},
            labels=[names[label] for label in self.probes["label"].tolist()],
            predictions=[names[guess] for guess in best.indices.tolist()],
            probabilities=best.values.tolist(),
        )


class Column:
    """One kind of map of all probe images: (N, h, w) for heatmaps, (N, C) for channel gates."""

    def __init__(self, title: str, source: str, kind: str, values: Tensor) -> None:
        self.title, self.source, self.kind = title, source, kind
        self.values = values.float().cpu().numpy().astype(np.float16)


def probe(classifier: Any, images: Tensor, *methods: str) -> tuple[dict[str, Column], Tensor]:
    """Computes every block's map and saliency maps of the predicted class.

    Args:
        classifier: The network.
        images: uint8 (N, 3, H, W) on the network's device.
        methods: Names of saliency methods; Grad-CAM is kept at the feature map's size, others at the images'.

    Returns:
        The columns by a short key, and the logits (N, classes), float32 on the CPU.
    """
    network, inputs = classifier.network, classifier.normalise(images)
    columns: list[Column] = []
    training = network.training
    network.eval()
    if any(adapter_of(module) for module in network.modules()):
        with torch.no_grad(), record(network) as maps:
            logits = network(inputs)
        for name, found in maps.items():
            columns.append(Column(name, "attention", found.kind, drawable(found)))
    else:
        with torch.no_grad():
            logits = network(inputs)
    for method in methods:
        explain, options = METHODS[method], {"upsample": False} if method == "grad_cam" else {}
        heat = explain(network, inputs, logits.argmax(1), **options)[:, 0]
        columns.append(Column("Grad-CAM" if method == "grad_cam" else method, "saliency", method, heat))
    network.train(training)
    return {f"m{number}": column for number, column in enumerate(columns)}, logits.float().cpu()


def drawable(found: RecordedMap) -> Tensor:
    """Reduces a map to a heatmap (N, h, w), or to bars (N, bars) where its last axes are no picture."""
    if found.kind == "channel":
        return found.values.flatten(1)
    if found.kind == "alignment":
        return found.values.mean((1, 2))  # what each key receives, over heads and queries
    return to_heatmap(found)[:, 0]


def spread_over_classes(labels: Any, count: int) -> list[int]:
    """Chooses `count` indices: the first image of every class, then the second of every class, and so on."""
    order = np.argsort(labels, kind="stable")
    sorted_labels = np.asarray(labels)[order]
    starts = np.searchsorted(sorted_labels, sorted_labels)
    rank = np.arange(len(order)) - starts
    chosen = order[np.lexsort((sorted_labels, rank))][:count]
    return sorted(chosen.tolist(), key=lambda index: (labels[index], index))
