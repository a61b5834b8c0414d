"""Reads what a run recorded: the probe images, and every recorded epoch's maps and predictions."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cv_attention.report.read.names import image_names
from cv_attention.rundir.arrays import check_arrays
from cv_attention.rundir.arrays import read_arrays as read_named
from cv_attention.rundir.contents import EpochRecord, ProbeEntry, Probes
from cv_attention.rundir.layout import EpochFile, RunLayout

# A file that was truncated by a kill, or written by another program, can raise anything when it is read.
UNREADABLE = (Exception,)


class Unreadable(ValueError):
    """Signals that a file could not be read; the message is a sentence shown on the page."""


@dataclass(frozen=True)
class Probe:
    """Describes one probe image.

    Attributes:
        image: The image's file; None if it is missing or outside of the maps folder.
        label: Index of its true class, or None.
        box: True box (x0, y0, x1, y1) in pixels of the image, or None.
        name: The image's path below the common folder, or another name that identifies it in every run;
            may be empty.
        flags: Flags of the image, such as ``blurred``.
        file: Name of the image's file, if given.
        labels: Indices of its true classes where an image may have several, else None.
    """

    image: Path | None
    label: int | None
    box: tuple[float, float, float, float] | None
    name: str = ""
    flags: tuple[str, ...] = ()
    file: str = ""
    labels: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Column:
    """Describes one kind of map: a block's attention map or a saliency method.

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
    """Holds what was recorded at the end of one epoch.

    Attributes:
        epoch: Index of the epoch; -1 is before training.
        step: Optimizer steps taken, or None.
        columns: The columns, in the order of the network.
        load: Reads the stored arrays by column key; see `read_arrays`.
        source: Where they are stored, for notices.
        predictions: Predicted class of every probe, None if unknown.
        probabilities: Probability of every class for every probe (N, classes), or None.
        losses: Cross-entropy of every probe, None if unknown.
        measures: Column key -> name of a measure -> its value for every probe, such as a saliency metric
            computed during training.
        decided: Classes that every probe was said to have, where it may have several; else empty.
        blocks: Block -> name of a measure -> how much it is in use on these images; empty if unknown.
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
    decided: list[list[int]] = field(default_factory=list)
    blocks: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Recording:
    """Holds everything that was recorded.

    Attributes:
        class_names: Names of the classes; may be empty.
        probes: The probe images.
        snapshots: The logged epochs, in order.
        notices: Notices about what could not be read, shown on the page.
    """

    class_names: list[str] = field(default_factory=list)
    probes: list[Probe] = field(default_factory=list)
    snapshots: list[Snapshot] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)


def read_recording(run: RunLayout) -> Recording:
    """Reads what a run recorded of its probe images; whatever is missing or torn is left out and named in `notices`."""
    if not run.probes.is_file():
        return Recording()
    try:
        content = Probes.read(run.probes)
        names = image_names([entry.name for entry in content.probes])
        probes = [_probe(run.maps, entry, name) for entry, name in zip(content.probes, names, strict=True)]
    except UNREADABLE:
        return Recording(notices=["maps/probes.json could not be read."])
    snapshots, notices = [], []
    for path in run.epoch_files(EpochFile.RECORD).values():
        try:
            snapshots.append(_snapshot(path, len(probes)))
        except UNREADABLE:
            notices.append(f"maps/{path.name} or its arrays could not be read; this epoch is left out.")
    snapshots.sort(key=lambda snapshot: snapshot.epoch)
    return Recording(list(content.class_names), probes, snapshots, notices)


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
    """Returns the file of this name below `folder`; None if it does not exist or is outside of the folder."""
    path = (folder / str(name)).resolve()
    return path if path.is_relative_to(folder.resolve()) and path.is_file() else None


def _probe(folder: Path, entry: ProbeEntry, name: str) -> Probe:
    return Probe(
        image=file_within(folder, entry.image),
        label=entry.label,
        box=finite_box(entry.box) if entry.box is not None else None,
        name=name,
        flags=entry.flags,
        file=f"maps/{entry.image}",
        labels=entry.labels,
    )


def finite_box(box: Sequence[float]) -> tuple[float, float, float, float] | None:
    """Reads a box; None where a side is not finite."""
    x0, y0, x1, y1 = (float(value) for value in box)
    return (x0, y0, x1, y1) if np.isfinite([x0, y0, x1, y1]).all() else None


def _snapshot(path: Path, probes: int) -> Snapshot:
    record = EpochRecord.read(path)
    columns = [Column(key, about.title, about.source, about.kind) for key, about in record.columns.items()]
    arrays = path.with_suffix(f".{EpochFile.MAPS.suffix}")
    check_arrays(arrays, set(record.columns))  # a torn archive is noticed here, before anything is written
    probabilities = np.array(record.probabilities, dtype=float)
    known = probabilities.ndim == 2 and len(probabilities) == probes and np.isfinite(probabilities).all()
    return Snapshot(
        epoch=record.epoch,
        step=record.step,
        columns=columns,
        load=functools.partial(read_named, arrays, set(record.columns)),
        source=f"maps/{arrays.name}",
        predictions=list(record.predictions) if len(record.predictions) == probes else [None] * probes,
        probabilities=probabilities if known else None,
        losses=_numbers(record.losses, probes) or [None] * probes,
        measures={
            key: {str(name): kept for name, values in about.items() if (kept := _numbers(values, probes))}
            for key, about in record.measures.items()
        },
        decided=[list(each) for each in record.decided] if len(record.decided) == probes else [],
        blocks={
            block: {name: value for name, value in shares.items() if np.isfinite(value)}
            for block, shares in record.blocks.items()
        },
    )


def _numbers(values: Any, count: int) -> list[float | None] | None:
    """Returns a list of `count` numbers with None for what is not finite; None where it is something else."""
    if not isinstance(values, list) or len(values) != count:
        return None
    numbers = np.array(values, dtype=float)
    return [float(number) if np.isfinite(number) else None for number in numbers]
