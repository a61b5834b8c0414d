"""Reads the images of a run or an export with what is known of each, for other programs."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cv_attention.report.read.opening import open_run
from cv_attention.report.read.recording import Column, Snapshot, read_arrays
from cv_attention.report.read.run_directory import Run
from cv_attention.rundir.files import write_bytes


@dataclass(frozen=True)
class Known:
    """Holds one image.

    Attributes:
        number: Its number on the report's page.
        file: The picture.
        name: Its name on the page; may be empty.
        size: Width and height in pixels.
        label: Index of the true class, if known.
        box: True box (x0, y0, x1, y1) in pixels, if known.
        predicted: Index of the predicted class, if known.
        probability: Its probability, if known.
        maps: Column -> raw map (h, w).
    """

    number: int
    file: Path
    name: str
    size: tuple[int, int]
    label: int | None
    box: tuple[float, float, float, float] | None
    predicted: int | None
    probability: float | None
    maps: dict[Column, NDArray[np.float32]]


def opened(path: Path | str) -> tuple[Run, Snapshot]:
    """Reads a run and its last recorded epoch.

    Raises:
        FileNotFoundError: if there is no such directory.
        ValueError: if it has no maps.
    """
    run = open_run(Path(path))
    if not run.recording.snapshots:
        raise ValueError(f"{run.name} has no recorded maps")
    return run, run.recording.snapshots[-1]


def known_images(run: Run, snapshot: Snapshot) -> Iterator[Known]:
    """Yields the images that can be read."""
    probes = run.recording.probes
    arrays = read_arrays(snapshot, len(probes))
    drawn = [column for column in snapshot.columns if column.key in arrays and arrays[column.key].ndim == 3]
    for number, probe in enumerate(probes):
        if probe.image is None:
            continue
        with Image.open(probe.image) as picture:
            size = picture.size
        guess, rows = snapshot.predictions[number], snapshot.probabilities
        sure = rows is not None and guess is not None and 0 <= guess < rows.shape[1]
        yield Known(
            number,
            probe.image,
            probe.name,
            size,
            probe.label,
            probe.box,
            guess,
            float(rows[number][guess]) if sure and rows is not None else None,
            {column: arrays[column.key][number].astype(np.float32) for column in drawn},
        )


def class_name(run: Run, index: int) -> str:
    """Returns the name of a class, or its number."""
    names = run.class_names
    return names[index] if 0 <= index < len(names) else str(index)


def copied(image: Known, folder: Path) -> Path:
    """Copies a picture into a folder under its number."""
    target = folder / f"{image.number:06d}{image.file.suffix.lower()}"
    write_bytes(target, image.file.read_bytes())
    return target


def emptied(out: Path, mark: str) -> None:
    """Prepares a folder for a conversion, which replaces an earlier one.

    Args:
        out: The folder.
        mark: The file by which an earlier conversion is known.

    Raises:
        ValueError: if it holds anything else.
    """
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / mark).is_file())):
        raise ValueError(f"{out} exists and holds something else; give an empty or new folder")
    for name in ("data", "heatmaps"):
        shutil.rmtree(out / name, ignore_errors=True)
    (out / mark).unlink(missing_ok=True)
