"""Writes one recorded epoch for the page: a shard for each column and block of probes, and what sorting needs."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cv_attention.report.read.recording import Column, Snapshot, read_arrays
from cv_attention.report.read.shrinking import shrink
from cv_attention.report.write.measures import Boxes, measure
from cv_attention.report.write.ranges import percentiles, sums_to_one
from cv_attention.report.write.shards import encode, write_shard

PROBES_PER_SHARD = 64
_TOP = 5  # classes whose probabilities are shown


class EpochWriter:
    """Writes the logged epochs of one run, in their order.

    Args:
        root: Folder of the report.
        folder: Folder of the run's shards below ``data/``.
        labels: True class of every probe, None if unknown.
        boxes: True box of every probe in fractions of the image, None if unknown.

    Attributes:
        columns: The columns so far, by key; ``index`` is the name of a column in shards and addresses.
    """

    def __init__(self, root: Path, folder: str, labels: list[int | None], boxes: Boxes) -> None:
        self.root, self.folder, self.labels, self.boxes = root, folder, labels, boxes
        self.columns: dict[str, dict[str, Any]] = {}
        self._before: dict[str, np.ndarray] = {}

    def write(self, snapshot: Snapshot) -> dict[str, Any]:
        """Writes one epoch's shards.

        Returns:
            The epoch's data that the page loads at the start. Shards are identified by the hash in their name.
        """
        arrays = read_arrays(snapshot, len(self.labels))
        ranges: dict[int, list[float]] = {}
        clips: dict[int, dict[int, list[float]]] = {}
        measures: dict[int, dict[str, list[float | None]]] = {}
        for column in snapshot.columns:
            if column.key not in arrays:
                continue
            values = arrays[column.key]
            about = self._about(column, values)
            finite = values[np.isfinite(values)]
            if finite.size:
                ranges[about["index"]] = [float(f"{finite.min():.7g}"), float(f"{finite.max():.7g}")]
                clips[about["index"]] = percentiles(finite)
                about["signed"] |= bool(finite.min() < 0)
                about["weights"] &= column.source == "attention" and sums_to_one(values)
            found = measure(values, self._before.get(column.key), self.boxes)
            measures[about["index"]] = {**found, **snapshot.measures.get(column.key, {})}
        self._before |= arrays
        key = f"{self.folder}/e{snapshot.epoch}"
        return {
            "epoch": snapshot.epoch,
            "step": snapshot.step,
            "maps": {self.columns[name]["index"]: self._maps(key, name, values) for name, values in arrays.items()},
            "top": self._top(key, snapshot),
            "measures": write_shard(self.root, f"{key}-measures", measures),
            "ranges": ranges,
            "clips": clips,
            "predictions": snapshot.predictions,
            "confidence": _probability_of(snapshot.predictions, snapshot),
            "true": _probability_of(self.labels, snapshot),
            "losses": self._losses(snapshot),
            **({"decided": snapshot.decided} if snapshot.decided else {}),
            **({"blocks": snapshot.blocks} if snapshot.blocks else {}),
        }

    def _about(self, column: Column, values: np.ndarray) -> dict[str, Any]:
        return self.columns.setdefault(
            column.key,
            {"index": len(self.columns), "title": column.title, "source": column.source, "kind": column.kind,
             "bars": values.ndim == 2, "signed": False, "weights": True},
        )  # fmt: skip

    def _maps(self, key: str, name: str, values: np.ndarray) -> list[str]:
        index, values = self.columns[name]["index"], shrink(values)
        return [
            write_shard(self.root, f"{key}-c{index}-{block}", encode(values[start : start + PROBES_PER_SHARD]))
            for block, start in enumerate(range(0, len(values), PROBES_PER_SHARD))
        ]

    def _top(self, key: str, snapshot: Snapshot) -> list[str]:
        best = [] if snapshot.probabilities is None else [_best(row) for row in snapshot.probabilities]
        return [
            write_shard(self.root, f"{key}-top-{block}", best[start : start + PROBES_PER_SHARD])
            for block, start in enumerate(range(0, len(best), PROBES_PER_SHARD))
        ]

    def _losses(self, snapshot: Snapshot) -> list[float | None]:
        """Returns the recorded cross-entropies, or computes them from the probabilities."""
        losses = snapshot.losses
        if snapshot.probabilities is not None and not any(loss is not None for loss in losses):
            true = _raw_probability_of(self.labels, snapshot)
            losses = [None if p is None else -math.log(max(p, 1e-7)) for p in true]
        return [None if loss is None else float(f"{loss:.4g}") for loss in losses]


def _raw_probability_of(classes: Sequence[int | None], snapshot: Snapshot) -> list[float | None]:
    """Returns the probability of one class for each probe, None if either is unknown."""
    if snapshot.probabilities is None:
        return [None] * len(classes)
    return [
        float(row[index]) if index is not None and 0 <= index < len(row) else None
        for index, row in zip(classes, snapshot.probabilities, strict=True)
    ]


def _probability_of(classes: Sequence[int | None], snapshot: Snapshot) -> list[float | None]:
    return [None if p is None else round(p, 4) for p in _raw_probability_of(classes, snapshot)]


def _best(row: NDArray) -> list[tuple[int, float]]:
    best = np.argsort(-row, kind="stable")[:_TOP]
    return [(int(index), round(float(row[index]), 4)) for index in best]
