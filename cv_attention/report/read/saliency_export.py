"""Reads a folder of `cv-attention saliency` for the report; ``docs/saliency_export.md`` describes its format."""

import functools
import json
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cv_attention.report.read.metrics import Metrics
from cv_attention.report.read.names import image_names, last_part
from cv_attention.report.read.recording import (
    UNREADABLE,
    Column,
    Probe,
    Recording,
    Snapshot,
    Unreadable,
    file_within,
    finite_box,
)
from cv_attention.report.read.redaction import redact
from cv_attention.report.read.run_directory import Run
from cv_attention.report.read.shrinking import shrink
from cv_attention.rundir import Damaged, read_sealed
from cv_attention.rundir.arrays import read_arrays
from cv_attention.rundir.checksums import changed
from cv_attention.rundir.layout import EXPORT_FORMAT, ExportLayout

_ERRORS_SHOWN = 3
_HOW_WRITTEN = ("columns", "class_names", "images_sha256", "shard_size", "manifest")  # not shown
Row = dict[str, Any]


def read_export(directory: Path) -> Run:
    """Reads a saliency export, complete or not, as a run with a single recording without an epoch.

    Raises:
        ValueError: if ``export.json`` is not JSON, or of a format that this version does not know.
    """
    path = ExportLayout(directory).description
    about = _description(path)
    if about.get("kind") == "readings":
        raise ValueError(f"{directory} was written by cv-attention read; its texts are in readings.csv")
    notices: list[str] = []
    rows = list(_rows(directory, about, notices))
    used = [row for row in rows if not row.get("error")]
    classes = [str(name) for name in about.get("class_names") or []]
    try:
        columns = [_column(entry) for entry in about.get("columns") or []]
    except UNREADABLE as error:
        raise ValueError(f"{path} is damaged: its columns are not those of an export") from error
    snapshot = Snapshot(
        epoch=0,
        step=None,
        columns=columns,
        load=functools.partial(_load, directory, columns, used),
        source="shards/",
        predictions=[_number(row.get("predicted")) for row in used],
        probabilities=_probabilities(used, len(classes)),
        losses=[None] * len(used),
        decided=_decided(used, classes),
    )
    notices += _failures([row for row in rows if row.get("error")])
    if not about.get("complete"):
        notices.append("The export is incomplete: the report shows only complete shards.")
    names = image_names([row.get("image") for row in used])
    probes = [_probe(directory, row, name) for row, name in zip(used, names, strict=True)]
    recording = Recording(classes, probes, [snapshot] if used else [])
    return Run(
        directory=directory,
        name=directory.resolve().name,
        config=redact({name: value for name, value in about.items() if name not in _HOW_WRITTEN}),
        summary={"right": _share_right(used), "class_names": classes},
        metrics=Metrics(),
        recording=recording,
        notices=notices,
        export=True,
    )


def _description(path: Path) -> dict[str, Any]:
    try:
        about = read_sealed(path, EXPORT_FORMAT)
    except Damaged as error:
        raise Damaged(
            f"{error}. None of its images can be shown; remove it, and the same saliency command will write it again"
        ) from error
    if not isinstance(about.get("columns", []), list) or not isinstance(about.get("class_names", []), list):
        raise Damaged(f"{path} is damaged: columns and class_names must be lists")
    if "format" not in about:
        raise Damaged(f"{path} is damaged: it has no format number, so it does not describe an export")
    return about


def _rows(directory: Path, about: dict[str, Any], notices: list[str]) -> Iterator[Row]:
    """Yields the rows of all complete shards, in the order of the images."""
    counts = _expected(about)
    seen = 0
    for path in ExportLayout(directory).rows():
        seen += 1
        listed = path.with_suffix(".sha256")
        altered = [one.relative_to(directory).as_posix() for one in changed(listed, directory)]
        rest = [name for name in altered if not name.startswith("shards/")]
        if rest:
            more = f" and {len(rest) - 1} more files" if len(rest) > 1 else ""
            notices.append(f"{rest[0]}{more} changed since the export, or their checksums in shards/{listed.name} did.")
        if len(rest) < len(altered):
            name = next(name for name in altered if name.startswith("shards/"))
            notices.append(
                f"{name} has changed since the export, or its checksum in shards/{listed.name} did; the images "
                "of this shard are left out."
            )
            continue
        try:
            rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
            for row in rows:
                _check(directory, row)
            expected = counts.get(path.stem)
            if expected is not None and len(rows) != expected:
                raise ValueError(f"it has {len(rows)} rows instead of {expected}")
            yield from rows
        except UNREADABLE as error:
            reason = f" ({error})" if "rows instead of" in str(error) else ""
            notices.append(f"shards/{path.name} could not be read{reason}; its images are left out.")
    if about.get("complete") and seen < len(counts):
        notices.append(f"{len(counts) - seen} of {len(counts)} shards are missing.")


def _expected(about: dict[str, Any]) -> dict[str, int]:
    """Returns the number of images by shard name; empty if the export does not record how it is divided."""
    images, size = about.get("images"), about.get("shard_size")
    if not isinstance(images, int) or not isinstance(size, int) or not size > 0 or not 0 <= images // size < 10**7:
        return {}
    return {f"{start // size:06d}": min(size, images - start) for start in range(0, images, size)}


def _check(directory: Path, row: Row) -> None:
    """Converts a row's values to their expected types; raises whatever the conversion raises for other types."""
    if row.get("error"):
        str(row["error"])
        return
    row["row"], row["shard"] = int(row["row"]), str(row["shard"])
    row["logits"] = [None if value is None else float(value) for value in row.get("logits") or []]
    _probe(directory, row, "")
    _number(row.get("predicted"))
    for entry in row.get("maps") or []:
        float(entry["scale"])


def _column(entry: Row) -> Column:
    key, source = str(entry["key"]), str(entry.get("source") or "")
    return Column(key, str(entry.get("title") or key), source, str(entry.get("kind") or key))


def _probe(directory: Path, row: Row, name: str) -> Probe:
    box = row.get("box")
    return Probe(
        image=file_within(directory, row["input"]) if row.get("input") else None,
        label=_number(row.get("label")),
        box=finite_box(box) if box is not None else None,
        name=name,
        flags=tuple(_flags(row)),
        file=str(row.get("input") or ""),
    )


def _flags(row: Row) -> list[str]:
    """Returns the flags of the method's map, and those of the blocks' maps with the suffix "attention"."""
    found = []
    for entry in row.get("maps") or []:
        whose = " attention" if entry.get("method") == "attention" else ""
        found += [str(flag).replace("_", " ") + whose for flag in entry.get("flags") or []]
    return list(dict.fromkeys(found))


def _number(value: Any) -> int | None:
    return None if value is None else int(value)


def _decided(rows: Sequence[Row], classes: Sequence[str]) -> list[list[int]]:
    """Returns the classes that each image was said to have, where a network decides on several; else nothing."""
    if not rows or not all(isinstance(row.get("decided"), list) for row in rows):
        return []
    place = {name: number for number, name in enumerate(classes)}
    return [[place[str(name)] for name in row["decided"] if str(name) in place] for row in rows]


def _probabilities(rows: Sequence[Row], classes: int) -> NDArray | None:
    """Computes the probabilities from the logits (N, classes), or None if they are missing.

    It is their softmax, or, of a network that decides on several classes per image, the sigmoid of each.
    """
    if not rows or any(len(row.get("logits") or []) != classes for row in rows):
        return None
    logits = np.array([row["logits"] for row in rows], dtype=np.float64)
    if not np.isfinite(logits).all():
        return None
    if "decided" in rows[0]:
        return 1 / (1 + np.exp(-logits.clip(-500)))
    weights = np.exp(logits - logits.max(1, keepdims=True))
    return weights / weights.sum(1, keepdims=True)


def _share_right(rows: Sequence[Row]) -> str | None:
    known = [row for row in rows if row.get("label") is not None]
    right = sum(row["label"] == row.get("predicted") for row in known)
    return f"{right} of {len(known)}" if known else None


def _failures(rows: Sequence[Row]) -> list[str]:
    if not rows:
        return []
    reasons = [f"{last_part(row.get('image'))}: {redact(str(row['error']))}" for row in rows[:_ERRORS_SHOWN]]
    more = f"; and {len(rows) - _ERRORS_SHOWN} more" if len(rows) > _ERRORS_SHOWN else ""
    plural = "image" if len(rows) == 1 else "images"
    return [f"{len(rows)} {plural} could not be used. {'; '.join(reasons)}{more}"]


def _load(directory: Path, columns: Sequence[Column], rows: Sequence[Row]) -> dict[str, NDArray]:
    """Loads the raw maps by column key, shard by shard, shrinking large ones immediately."""
    shards: dict[str, list[Row]] = {}
    for row in rows:
        shards.setdefault(row["shard"], []).append(row)
    parts: dict[str, list[NDArray]] = {column.key: [] for column in columns}
    for name, members in shards.items():
        try:
            stored = _read_shard(directory, name, parts.keys())
            for key, found in parts.items():
                values = stored[key][[row["row"] for row in members]].astype(np.float32)
                scales = np.array([_scale(row, key) for row in members], np.float32)
                found.append(shrink(values * scales.reshape(-1, *[1] * (values.ndim - 1))))
        except UNREADABLE as error:
            raise Unreadable(
                f"{redact(name)} could not be read; remove it and its .jsonl, and the same saliency command "
                "will write them again."
            ) from error
    return {key: np.concatenate(found) for key, found in parts.items() if found}


def _scale(row: Row, key: str) -> float:
    return float(next(entry["scale"] for entry in row["maps"] if entry["key"] == key))


def _read_shard(directory: Path, name: str, keys: Collection[str]) -> dict[str, NDArray]:
    """Reads only the named arrays."""
    path = file_within(directory, name)
    if path is None:
        raise FileNotFoundError(f"{name} is missing")
    if path.suffix == ".safetensors":
        from safetensors import safe_open

        with safe_open(path, framework="numpy") as file:
            return {key: file.get_tensor(key) for key in file.keys() if key in keys}  # noqa: SIM118  # not a mapping
    return read_arrays(path, keys)
