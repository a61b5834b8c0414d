"""Writes the data of the panels: confusion, maps by class, heads, gates, faithfulness, and those of the tasks."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cv_attention.report.read.faithfulness import faithfulness
from cv_attention.report.read.network import network
from cv_attention.report.read.recording import UNREADABLE
from cv_attention.report.read.run_directory import Run
from cv_attention.report.read.shrinking import shrink
from cv_attention.report.write.glimpses import glimpses
from cv_attention.report.write.memory import remembered
from cv_attention.report.write.readings import reading, tested_readings
from cv_attention.report.write.shards import encode, write_shard
from cv_attention.report.write.thumbnails import as_url
from cv_attention.rundir.arrays import read_arrays
from cv_attention.rundir.contents import ConfusionCounts, Faithfulness, gate_array
from cv_attention.rundir.counts.label_counts import LabelCounts
from cv_attention.rundir.layout import EpochFile, RunLayout


class PanelWriter:
    """Writes the shards of one run's panels; panels without data are omitted.

    Args:
        root: Folder of the report.
        folder: Folder of the run's shards below ``data/``.
        run: The run.
        columns: Title -> index of the page's columns.

    Attributes:
        notices: Notices about what could not be read.
    """

    def __init__(self, root: Path, folder: str, run: Run, columns: Mapping[str, int]) -> None:
        self.root, self.folder, self.run, self.columns = root, folder, run, columns
        self.notices: list[str] = []

    def write(self) -> dict[str, Any]:
        """Returns the panels' data that the page loads at the start; shards are identified by epoch and hash."""
        layout = RunLayout(self.run.directory)
        return {
            "network": network(self.run.summary),
            "confusion": self._each(layout, EpochFile.CONFUSION, "confusion", _confusion),
            "tested": self._one(layout.tested_confusion, "confusion-test", _confusion),
            "labels": self._each(layout, EpochFile.LABELS, "labels", _labels),
            "testedLabels": self._one(layout.tested_labels, "labels-test", _labels),
            "classes": self._each(layout, EpochFile.CLASSES, "classes", self._classes),
            "heads": self._each(layout, EpochFile.HEADS, "heads", _heads),
            "pairwise": self._each(layout, EpochFile.PAIRWISE, "pairwise", _pairwise),
            "gates": self._each(layout, EpochFile.GATES, "gates", _gates),
            "glimpses": self._each(layout, EpochFile.GLIMPSES, "glimpses", self._glimpses),
            "faithfulness": self._one(layout.faithfulness, "faithfulness", _faithfulness),
            "bags": self._one(layout.bags, "bags", _bags),
            "memory": self._one(layout.memory, "memory", remembered),
            "reading": self._each(layout, EpochFile.READING, "reading", self._reading),
            "read": self._one(layout.readings, "readings-test", tested_readings),
        }

    def _each(self, layout: RunLayout, kind: EpochFile, name: str, read: Callable[[Path], Any]) -> dict[int, str]:
        """Writes one shard for each epoch's file; returns epoch -> hash."""
        files = layout.epoch_files(kind)
        found = {epoch: self._one(path, f"e{epoch}-{name}", read) for epoch, path in files.items()}
        return {epoch: digest for epoch, digest in found.items() if digest}

    def _one(self, path: Path, name: str, read: Callable[[Path], Any]) -> str | None:
        if not path.is_file():
            return None
        try:
            return write_shard(self.root, f"{self.folder}/{name}", read(path))
        except UNREADABLE:
            name = path.relative_to(self.run.directory).as_posix()
            self.notices.append(f"{name} could not be read and is left out.")
            return None

    def _reading(self, path: Path) -> dict[str, Any]:
        return reading(path, len(self.run.recording.probes), self.notices)

    def _glimpses(self, path: Path) -> dict[str, Any]:
        return glimpses(path, len(self.run.recording.probes))

    def _classes(self, path: Path) -> dict[str, Any]:
        arrays = read_arrays(path)
        classes = arrays.pop("classes")
        kept = {t: values for t, values in arrays.items() if t in self.columns and values.shape[:2] == classes.shape}
        maps = {
            self.columns[title]: encode(shrink(_flat(values, 2))) for title, values in kept.items() if values.ndim == 4
        }
        return {"classes": classes.astype(int).tolist(), "maps": maps}


def _confusion(path: Path) -> dict[str, Any]:
    return vars(ConfusionCounts.read(path))


def _labels(path: Path) -> dict[str, Any]:
    return vars(LabelCounts.read(path))


def _faithfulness(path: Path) -> dict[str, Any]:
    return faithfulness(Faithfulness.read(path))


def _bags(path: Path) -> list[dict[str, Any]]:
    """Returns the bags, each with its images, the heaviest first."""
    arrays = read_arrays(path)
    starts = [int(start) for start in arrays["starts"]]
    bags = []
    for number, name in enumerate(arrays["name"]):
        rows = range(starts[number], starts[number + 1])
        rows = sorted(rows, key=lambda row: -float(arrays["weight"][row]))
        images = [
            {"url": as_url(arrays["image"][row]), "weight": round(float(arrays["weight"][row]), 5),
             "key": int(arrays["key"][row])}
            for row in rows
        ]  # fmt: skip
        about = {field: int(arrays[field][number]) for field in ("label", "predicted", "size")}
        probability = round(float(arrays["probability"][number]), 5)
        bags.append({"name": str(name), **about, "probability": probability, "images": images})
    return bags


def _flat(values: np.ndarray, axes: int) -> np.ndarray:
    return values.reshape(-1, *values.shape[axes:])


def _heads(path: Path) -> dict[str, Any]:
    """Returns name -> the maps (N, heads, h, w) of all heads, image by image."""
    found = {name: values for name, values in read_arrays(path).items() if values.ndim == 4}
    return {name: {"heads": values.shape[1], **encode(shrink(_flat(values, 2)))} for name, values in found.items()}


def _pairwise(path: Path) -> dict[str, Any]:
    """Returns name -> the maps (N, heads, queries, h, w), in 256 steps between the extremes of each map."""
    found = {name: values for name, values in read_arrays(path).items() if values.ndim == 5}
    return {
        name: {
            "images": values.shape[0],
            "heads": values.shape[1],
            "queries": values.shape[2],
            **encode(_flat(values, 3), most_float16=0),
        }
        for name, values in found.items()
    }


def _gates(path: Path) -> dict[str, Any]:
    arrays = read_arrays(path)
    prefix = gate_array("quantiles", "")
    names = [key.removeprefix(prefix) for key in arrays if key.startswith(prefix)]
    found = {}
    for name in names:
        quantiles, histogram = arrays[gate_array("quantiles", name)], arrays[gate_array("histogram", name)]
        by_class = arrays.get(gate_array("by_class", name))
        found[name] = {
            "quantiles": encode(quantiles.reshape(5, -1)),
            "histogram": [int(count) for count in histogram],
            "range": [float(f"{value:.6g}") for value in arrays[gate_array("range", name)]],
            "byClass": None if by_class is None else encode(by_class),
        }
    return {"images": int(arrays["images"]), "gates": found}
