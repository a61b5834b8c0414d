"""Defines the JSON files of a run directory: what the writer writes and the reader reads.

Readers take every value to its type, and raise whatever a value of another kind provokes.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cv_attention.rundir.files import write_text
from cv_attention.rundir.layout import EpochFile

Box = tuple[float, float, float, float]


class _Written:
    """Writes a dataclass as JSON, whole or not at all."""

    def write(self, path: Path) -> None:
        """Writes the file and makes its folder."""
        write_text(path, json.dumps(vars(self), default=vars))


@dataclass(frozen=True)
class ProbeEntry:
    """One probe image.

    Attributes:
        image: Its file, relative to the folder of the maps.
        name: What it is called in the data set, such as ``bird/0004.jpg``; None where it has no name.
        label: Index of its true class; None where unknown.
        box: True box (x0, y0, x1, y1) in pixels; None where unknown.
        flags: Words that mark the image, such as ``blurred``.
        labels: Indices of its true classes where an image may have several; None where it has one, or they are unknown.
    """

    image: str
    name: str | None = None
    label: int | None = None
    box: Box | None = None
    flags: tuple[str, ...] = ()
    labels: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Probes(_Written):
    """``maps/probes.json``: the images that maps are recorded of.

    Attributes:
        class_names: Name of each class, in the order of the logits.
        probes: The images, in the order of all recorded arrays.
    """

    class_names: tuple[str, ...]
    probes: tuple[ProbeEntry, ...]

    @classmethod
    def read(cls, path: Path) -> "Probes":
        """Reads the file."""
        content = json.loads(path.read_text(encoding="utf-8"))
        names = tuple(str(name) for name in content.get("class_names") or [])
        return cls(names, tuple(_probe(entry) for entry in content["probes"]))


def _probe(entry: Mapping[str, Any]) -> ProbeEntry:
    label, box, name = entry.get("label"), entry.get("box"), entry.get("name")
    x0, y0, x1, y1 = (0.0, 0.0, 0.0, 0.0) if box is None else (float(value) for value in box)
    return ProbeEntry(
        image=str(entry["image"]),
        name=None if name is None else str(name),
        label=None if label is None else int(label),
        box=None if box is None else (x0, y0, x1, y1),
        flags=tuple(str(flag) for flag in entry.get("flags") or []),
        labels=None if entry.get("labels") is None else tuple(int(label) for label in entry["labels"]),
    )


@dataclass(frozen=True)
class ColumnEntry:
    """One kind of map.

    Attributes:
        title: Module name or saliency method.
        source: ``attention`` (computed in the forward) or ``saliency`` (attributed afterwards).
        kind: ``channel``, ``spatial``, ``joint``, ``pairwise``, ``alignment``, or the method's name.
    """

    title: str
    source: str
    kind: str


@dataclass(frozen=True)
class EpochRecord(_Written):
    """``maps/epoch-XXXX.json``: what was recorded at the end of one epoch, N probe images. The arrays are next to it.

    Attributes:
        epoch: Index of the epoch; -1 is before training.
        step: Optimizer steps taken; None where unknown.
        columns: Key of an array in ``epoch-XXXX.npz`` -> what it is.
        predictions: Predicted class of each probe (N).
        probabilities: Probability of every class (N, classes).
        losses: Cross-entropy of each probe (N); None where its class is unknown.
        measures: Key of a column -> name of a measure -> its value for each probe (N).
        decided: Classes that each probe was said to have (N), where it may have several; else empty.
        blocks: Name of an inserted block -> how much it is in use on these images: ``change``, ``over_images``,
            ``over_channels`` and ``over_positions`` of `maps.BlockUsage`.
    """

    epoch: int
    step: int | None
    columns: Mapping[str, ColumnEntry]
    predictions: Sequence[int] = ()
    probabilities: Sequence[Sequence[float]] = ()
    losses: Sequence[float | None] = ()
    measures: Mapping[str, Mapping[str, Sequence[float | None]]] = field(default_factory=dict)
    decided: Sequence[Sequence[int]] = ()
    blocks: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> "EpochRecord":
        """Reads the file; an epoch that it does not state is that of its name."""
        content = json.loads(path.read_text(encoding="utf-8"))
        epoch = content.get("epoch", EpochFile.RECORD.epoch_of(path))
        columns = {
            key: ColumnEntry(str(about.get("title", key)), str(about.get("source", "")), str(about.get("kind", "")))
            for key, about in content["columns"].items()
        }
        return cls(
            epoch=int(epoch),
            step=None if content.get("step") is None else int(content["step"]),
            columns=columns,
            predictions=[int(value) for value in content.get("predictions") or []],
            probabilities=content.get("probabilities") or [],
            losses=content.get("losses") or [],
            measures=content.get("measures") or {},
            decided=[[int(label) for label in each] for each in content.get("decided") or []],
            blocks={
                str(block): {str(name): float(value) for name, value in shares.items()}
                for block, shares in (content.get("blocks") or {}).items()
            },
        )


@dataclass(frozen=True)
class ConfusionCounts(_Written):
    """``confusion/epoch-XXXX.json`` and ``confusion/test.json``.

    Attributes:
        classes: Their number.
        counts: Entries [true class, predicted class, images] that are not zero.
        what: What was counted, such as ``recorded images``; None for the validation split or, in ``test.json``, for the
            test split under the best checkpoint.
    """

    classes: int
    counts: Sequence[Sequence[int]]
    what: str | None = None

    @classmethod
    def read(cls, path: Path) -> "ConfusionCounts":
        """Reads the file.

        Raises:
            ValueError: if an entry is not of this form.
        """
        content = json.loads(path.read_text(encoding="utf-8"))
        classes = int(content["classes"])
        counts = [[int(value) for value in entry] for entry in content["counts"]]
        if any(len(entry) != 3 or not 0 <= min(entry) <= max(entry[:2]) < classes for entry in counts):
            raise ValueError("counts must be [true, predicted, images]")
        return cls(classes, counts, None if content.get("what") is None else str(content["what"]))


@dataclass(frozen=True)
class Faithfulness(_Written):
    """``maps/faithfulness.json``: insertion and deletion curves of the probe images (N).

    Attributes:
        epoch: Index of the epoch whose maps were judged.
        step: Pixels that are inserted or deleted at once.
        mean: Colour of a deleted pixel, in [0, 1].
        kernel: Weights of the blur along one axis, from which insertion starts.
        classes: Class whose probability each image's curves show (N).
        curves: Title of a map -> ``insertion`` and ``deletion`` -> ``auc`` (N) and ``curve`` (N, points + 1).
        baselines: The same of maps that know nothing of the network.
    """

    epoch: int
    step: int
    mean: Sequence[float]
    kernel: Sequence[float]
    classes: Sequence[int]
    curves: Mapping[str, Mapping[str, Mapping[str, Any]]]
    baselines: Mapping[str, Mapping[str, Mapping[str, Any]]]

    @classmethod
    def read(cls, path: Path) -> "Faithfulness":
        """Reads the file."""
        return cls.of(json.loads(path.read_text(encoding="utf-8")))

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "Faithfulness":
        """Takes plain values; raises ValueError where a curve is not finite or lacks an image."""
        return cls(
            epoch=int(content["epoch"]),
            step=int(content["step"]),
            mean=[float(value) for value in content["mean"]],
            kernel=[float(value) for value in content["kernel"]],
            classes=[int(value) for value in content["classes"]],
            curves=_curves(content["curves"]),
            baselines=_curves(content["baselines"]),
        )


def _curves(group: Mapping[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    return {
        str(title): {kind: _curve(both[kind]) for kind in ("insertion", "deletion")} for title, both in group.items()
    }


def _curve(curve: Mapping[str, Any]) -> dict[str, Any]:
    points = [[float(value) for value in row] for row in curve["curve"]]
    auc = [float(value) for value in curve["auc"]]
    finite = all(abs(value) < float("inf") for row in [*points, auc] for value in row)  # NaN compares as false
    if len(points) != len(auc) or not finite:
        raise ValueError("a curve must be finite and have one row for each image")
    return {"auc": auc, "curve": points}


@dataclass(frozen=True)
class NonFinite(_Written):
    """``nonfinite.json``: where a loss was not finite.

    Attributes:
        step: Optimizer step.
        epoch: Index of the epoch.
        loss: ``nan``, ``inf`` or ``-inf``.
        images: Indices of the images in that step's batches.
    """

    step: int
    epoch: int
    loss: str
    images: Sequence[int]


# Arrays of ``predictions.npz``, one entry for each test image but for the last.
PREDICTION_ARRAYS = {
    "index": "position in the split",
    "name": "folder and file, name in the archive, or row",
    "label": "true class",
    "predicted": "predicted class",
    "probability": "of the true class",
    "loss": "cross-entropy; their mean is the test loss",
    "top_classes": "the five most probable classes, or all where there are fewer",
    "top_probabilities": "their probabilities",
    "class_names": "name of each class",
}


def glimpse_array(what: str, name: str) -> str:
    """Returns the name of an array in ``maps/glimpses-XXXX.npz``.

    Args:
        what: ``places`` or ``extents``.
        name: Name of the module that the places pass.
    """
    return f"{what}:{name}"


def gate_array(statistic: str, name: str) -> str:
    """Returns the name of an array in ``maps/gates-XXXX.npz``.

    Args:
        statistic: ``quantiles``, ``mean``, ``histogram``, ``range`` or ``by_class``.
        name: Name of the gate's module.
    """
    return f"{statistic}:{name}"
