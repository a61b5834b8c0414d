"""What the page shows of one run: texts, curves and predictions at once, maps in shards on demand."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from cv_attention.report.facts import facts, results
from cv_attention.report.pictures import write_picture
from cv_attention.report.recording import UNREADABLE, Column, Snapshot, read_arrays
from cv_attention.report.run import Run
from cv_attention.report.shards import as_json, encode, write_hashed

_PROBES_PER_SHARD = 64  # a shard holds all columns of one epoch for so many probes
_TOP = 5  # classes whose probabilities are shown


def write_run(root: Path, number: int, run: Run) -> dict[str, Any]:
    """Writes a run's images and shards below `root`.

    Args:
        root: Folder of the report.
        number: Position of the run in the report; its files lie in folders ``run<number>``.
        run: The run.

    Returns:
        What the page has to know from the start, as plain values. Columns go by their index in ``columns``.
    """
    folder = f"run{number}"
    probes = []
    for index, probe in enumerate(run.recording.probes):
        picture = write_picture(root, f"images/{folder}", index, probe)
        box = _relative_box(probe.box, picture)
        probes.append({"image": picture and picture["src"], "label": probe.label, "box": box,
                       "size": picture and [picture["width"], picture["height"]]})  # fmt: skip
    labels = [probe.label for probe in run.recording.probes]
    columns: dict[str, dict[str, Any]] = {}
    notices = list(run.notices)
    epochs = []
    for snapshot in run.recording.snapshots:
        try:
            epochs.append(_epoch(root, folder, snapshot, labels, columns))
        except UNREADABLE:
            notices.append(f"maps/{snapshot.arrays.name} could not be read; this epoch is left out.")
    return {
        "name": run.name,
        "facts": facts(run),
        "test": results(run),
        "plan": run.summary.get("plan") if isinstance(run.summary.get("plan"), str) else None,
        "config": yaml.safe_dump(run.config, sort_keys=False, allow_unicode=True) if run.config else None,
        "finished": bool(run.summary),
        "series": run.metrics.series,
        "resumed": run.metrics.resumed,
        "classes": run.class_names,
        "columns": list(columns.values()),
        "probes": probes,
        "epochs": epochs,
        "notices": notices,
    }


def _relative_box(box: Sequence[float] | None, picture: dict[str, Any] | None) -> list[float] | None:
    """A box as shares of the image's width and height, cut at its edges."""
    if box is None or picture is None:
        return None
    size = (picture["width"], picture["height"]) * 2
    return [round(min(max(value / side, 0.0), 1.0), 5) for value, side in zip(box, size, strict=True)]


def _epoch(
    root: Path, folder: str, snapshot: Snapshot, labels: list[int | None], columns: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    arrays = read_arrays(snapshot, len(labels))
    ranges: dict[int, list[float]] = {}
    for column in snapshot.columns:
        if column.key not in arrays:
            continue
        index = _column_index(columns, column, arrays[column.key])
        values = arrays[column.key].astype(np.float32)
        finite = values[np.isfinite(values)]
        if finite.size:
            ranges[index] = [float(f"{finite.min():.7g}"), float(f"{finite.max():.7g}")]
            columns[column.key]["signed"] |= bool(finite.min() < 0)
    shards = []
    for start in range(0, len(labels), _PROBES_PER_SHARD):
        part = slice(start, start + _PROBES_PER_SHARD)
        key = f"{folder}/epoch-{snapshot.epoch:04d}-{start // _PROBES_PER_SHARD}"
        maps = {columns[name]["index"]: encode(values[part]) for name, values in arrays.items()}
        payload = {"maps": maps, "top": [_top(row) for row in snapshot.probabilities[part]]}
        content = f"cvAttentionShard({as_json(key)},{as_json(payload)});\n"
        shards.append({"key": key, "src": write_hashed(root, f"data/{key}.js", content)})
    return {
        "epoch": snapshot.epoch,
        "step": snapshot.step,
        "shards": shards,
        "ranges": ranges,
        "predictions": snapshot.predictions,
        "confidence": _probability_of(snapshot.predictions, snapshot),
        "true": _probability_of(labels, snapshot),
    }


def _probability_of(classes: Sequence[int | None], snapshot: Snapshot) -> list[float | None]:
    """The probability of one class for each probe, None where either is unknown."""
    if not snapshot.probabilities:
        return [None] * len(classes)
    return [
        round(row[index], 4) if index is not None and 0 <= index < len(row) else None
        for index, row in zip(classes, snapshot.probabilities, strict=True)
    ]


def _column_index(columns: dict[str, dict[str, Any]], column: Column, values: np.ndarray) -> int:
    about = columns.setdefault(
        column.key,
        {"index": len(columns), "title": column.title, "source": column.source, "kind": column.kind,
         "bars": values.ndim == 2, "signed": False},
    )  # fmt: skip
    return about["index"]


def _top(probabilities: list[float]) -> list[tuple[int, float]]:
    best = sorted(range(len(probabilities)), key=lambda index: -probabilities[index])[:_TOP]
    return [(index, round(probabilities[index], 4)) for index in best]
