"""What the training recorded: the probe images, and every logged epoch's maps and predictions."""

import functools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cv_attention.report.read.names import image_names

# A file that was torn by a kill, or written by somebody else, raises whatever it can when it is read.
UNREADABLE = (Exception,)


class Unreadable(ValueError):
    """A file could not be read; the message is a sentence for the reader of the page."""


@dataclass(frozen=True)
class Probe:
    """One probe image.

    Attributes:
        image: The image's file; None where it is missing or named outside of the maps folder.
        label: Index of its true class, or None.
        box: True box (x0, y0, x1, y1) in pixels of the image, or None.
        name: The image's path below the folder that all share, or another name by which it is known in every run;
            may be empty.
        flags: Words that mark the image, such as ``blurred``.
        file: What the image's file is called where one is named.
    """

    image: Path | None
    label: int | None
    box: tuple[float, float, float, float] | None
    name: str = ""
    flags: tuple[str, ...] = ()
    file: str = ""


@dataclass(frozen=True)
class Column:
    """One kind of map: a block's attention map or a saliency method.

    Attributes:
        key: Name of its array.
        title: Module name or method.
        source: ``attention`` or ``saliency``.
        kind: ``channel``, ``spatial``, ``joint``, ``pairwise``, ``grad_cam``, ...
    """

    key: str
    title: str
    source: str
    kind: str


@dataclass(frozen=True)
class Snapshot:
    """What was recorded at the end of one epoch.

    Attributes:
        epoch: Index of the epoch; -1 is before the training.
        step: Optimizer steps taken, or None.
        columns: The columns, in the order of the network.
        load: Reads the arrays as they are stored, by column key; see `read_arrays`.
        source: Where they lie, for a notice.
        predictions: Predicted class of every probe, None where unknown.
        probabilities: Probability of every class for every probe (N, classes), or None.
        losses: Cross-entropy of every probe, None where unknown.
        measures: Column key -> name of a measure -> its value for every probe, such as a saliency metric that was
            computed during the training.
    """

    epoch: int
    step: int | None
    columns: list[Column]
    load: Callable[[], Mapping[str, NDArray]]
    source: str
    predictions: list[int | None]
    probabilities: NDArray | None
    losses: list[float | None]
    measures: dict[str, dict[str, list[float | None]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Recording:
    """All that was recorded.

    Attributes:
        class_names: Names of the classes; may be empty.
        probes: The probe images.
        snapshots: The logged epochs, in order.
        notices: What could not be read, for the reader of the page.
    """

    class_names: list[str] = field(default_factory=list)
    probes: list[Probe] = field(default_factory=list)
    snapshots: list[Snapshot] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)


def read_recording(folder: Path) -> Recording:
    """Reads the ``maps`` folder of a run; whatever is missing or torn is left out and told in `notices`."""
    index = folder / "probes.json"
    if not index.is_file():
        return Recording()
    try:
        content = json.loads(index.read_text(encoding="utf-8"))
        entries = content["probes"]
        paths = image_names([entry.get("name") for entry in entries])
        probes = [_probe(folder, entry, name) for entry, name in zip(entries, paths, strict=True)]
        names = [str(name) for name in content.get("class_names") or []]
    except UNREADABLE:
        return Recording(notices=["maps/probes.json could not be read."])
    snapshots, notices = [], []
    for path in sorted(folder.glob("epoch-*.json")):
        try:
            snapshots.append(_snapshot(path, len(probes)))
        except UNREADABLE:
            notices.append(f"maps/{path.name} or its arrays could not be read; this epoch is left out.")
    snapshots.sort(key=lambda snapshot: snapshot.epoch)
    return Recording(names, probes, snapshots, notices)


def read_arrays(snapshot: Snapshot, probes: int) -> dict[str, np.ndarray]:
    """Reads the arrays of `snapshot` by column key: (N, h, w) heatmaps or (N, C) channel gates.

    Arrays of any other shape, or with another number of probes than `probes`, are left out.
    """
    found = {}
    arrays = snapshot.load()
    for column in snapshot.columns:
        if column.key not in arrays:
            continue
        values = arrays[column.key]
        if values.ndim == 4 and values.shape[1] == 1:
            values = values[:, 0]
        if values.ndim in (2, 3) and len(values) == probes and values.size and values.dtype.kind in "fiu":
            found[column.key] = values
    return found


def file_within(folder: Path, name: object) -> Path | None:
    """The file of this name below `folder`; None where there is none, or the name leads out of the folder."""
    path = (folder / str(name)).resolve()
    return path if path.is_relative_to(folder.resolve()) and path.is_file() else None


def _probe(folder: Path, entry: dict[str, Any], name: str) -> Probe:
    label, box = entry.get("label"), entry.get("box")
    return Probe(
        image=file_within(folder, entry["image"]),
        label=int(label) if label is not None else None,
        box=finite_box(box) if box is not None else None,
        name=name,
        flags=tuple(str(flag) for flag in entry.get("flags") or []),
        file=f"maps/{entry['image']}",
    )


def finite_box(box: Sequence[float]) -> tuple[float, float, float, float] | None:
    """Reads a box; None where a side is no finite number."""
    x0, y0, x1, y1 = (float(value) for value in box)
    return (x0, y0, x1, y1) if np.isfinite([x0, y0, x1, y1]).all() else None


def _snapshot(path: Path, probes: int) -> Snapshot:
    from cv_attention.rundir.arrays import check_arrays, read_arrays  # here, so that the report is imported alone

    content = json.loads(path.read_text(encoding="utf-8"))
    named = re.fullmatch(r"epoch-(-?\d+)", path.stem)
    columns = [
        Column(key, str(about.get("title", key)), str(about.get("source", "")), str(about.get("kind", "")))
        for key, about in content["columns"].items()
    ]
    arrays = path.with_suffix(".npz")
    check_arrays(arrays, {column.key for column in columns})  # a torn archive is found here, before anything is written
    predictions = content.get("predictions") or []
    probabilities = np.array(content.get("probabilities") or [], dtype=float)
    known = probabilities.ndim == 2 and len(probabilities) == probes and np.isfinite(probabilities).all()
    return Snapshot(
        epoch=int(content["epoch"] if "epoch" in content or named is None else named[1]),
        step=int(content["step"]) if content.get("step") is not None else None,
        columns=columns,
        load=functools.partial(read_arrays, arrays, {column.key for column in columns}),
        source=f"maps/{arrays.name}",
        predictions=[int(p) for p in predictions] if len(predictions) == probes else [None] * probes,
        probabilities=probabilities if known else None,
        losses=_numbers(content.get("losses"), probes) or [None] * probes,
        measures={
            key: {str(name): kept for name, values in about.items() if (kept := _numbers(values, probes))}
            for key, about in (content.get("measures") or {}).items()
        },
    )


def _numbers(values: Any, count: int) -> list[float | None] | None:
    """A list of `count` numbers with None for what is not finite; None where it is no such list."""
    if not isinstance(values, list) or len(values) != count:
        return None
    numbers = np.array(values, dtype=float)
    return [float(number) if np.isfinite(number) else None for number in numbers]
