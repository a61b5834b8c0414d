"""Reads images whose classes, or numbers, are in a table: CSV, JSON Lines, Parquet, with a column of paths."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cv_attention.config import Data
from cv_attention.data.sources.folder import ALIASES, bits_of, opened, whole
from cv_attention.data.sources.images import Images
from cv_attention.data.sources.subset import choose_classes
from cv_attention.data.tables.entries import Entry
from cv_attention.data.tables.image_paths import check_presence, image_paths
from cv_attention.data.tables.sheets import SUFFIXES, Sheet, read_table
from cv_attention.data.tables.targets import Cells, cells, column, numbers
from cv_attention.suggest import suggest

_IMAGES = ("path", "file", "file_name", "filename", "filepath", "image", "image_path", "image_id", "id")


class _Row(NamedTuple):
    """One image of a table: its path in an `Entry`, what is said of it, its split or "", and its group."""

    entry: Entry
    said: Cells
    split: str
    group: str


class _Part(NamedTuple):
    """The rows of one table, and the columns that say what its images show."""

    columns: list[str]
    rows: list[_Row]


def load(config: Data) -> tuple[list[str], dict[str, Images]]:
    """Reads class names and the images of each split that the table names: of ``train`` alone if it names none.

    ``data.root`` is the table, or a folder with one table, or with a table for each split (``train.csv``, ``val.csv``
    and ``test.csv``). As for folders, the only split besides train is the test split.

    Raises:
        FileNotFoundError: if the table or an image does not exist; names line and path.
        ValueError: if a column is missing, a row has no class or an unknown split, an image is listed twice, or a class
            has no training images; names the line.
    """
    given = Path(config.root).expanduser()
    files = _tables(given)
    parts = [_rows(read_table(file), config, split) for split, file in files.items()]
    rows = [row for part in parts for row in part.rows]
    top = Path(config.table.folder).expanduser() if config.table.folder else next(iter(files.values())).parent
    entries = [row.entry for row in rows]
    paths = image_paths(entries, top, top, ("images", *(name for names in ALIASES.values() for name in names)))
    check_presence(entries, paths)
    _check_repeated(entries, paths)
    splits = _of_splits(rows)
    chosen, labels = _labels(rows, splits["train"], parts[0].columns, config)
    encoded = [os.fsencode(path) for path in paths]
    kept = {name: [row for row in own if labels.ndim > 1 or labels[row] >= 0] for name, own in splits.items()}
    bits = config.bits or bits_of([encoded[row] for row in kept["train"]])
    groups = np.unique([row.group for row in rows], return_inverse=True)[1] if config.table.group else None
    images = {}
    for name, own in kept.items():
        if not own:
            raise ValueError(f"'{config.root}' has {name} images, but of none of the chosen classes")
        images[name] = _open(top / name, own, encoded, labels[own], groups, bits, config)
    return chosen, images


def _tables(given: Path) -> dict[str, Path]:
    """Returns the tables by split; by ``""`` the table of everything."""
    if given.is_file() or given.suffix in SUFFIXES:
        return {"": given}
    if not given.is_dir():
        raise FileNotFoundError(f"data.root: table not found: '{given}'")
    found = sorted(path for path in given.iterdir() if path.suffix in SUFFIXES and not path.name.startswith("."))
    by_split = {split: [path for path in found if path.stem in names] for split, names in ALIASES.items()}
    several = next((paths for paths in by_split.values() if len(paths) > 1), found if len(found) > 1 else [])
    if by_split["train"] and all(len(paths) < 2 for paths in by_split.values()):
        return {split: paths[0] for split, paths in by_split.items() if paths}
    if several:
        raise ValueError(f"'{given}' has several tables: {', '.join(path.name for path in several)}; name one of them")
    if not found:
        raise FileNotFoundError(f"'{given}' has no table ({', '.join(SUFFIXES)})")
    return {"": found[0]}


def _rows(sheet: Sheet, config: Data, split: str) -> _Part:
    columns = config.table
    image = column(sheet, columns.image, "data.table.image", _IMAGES)
    if not sheet.lines:
        raise ValueError(f"'{sheet.file}' has a header, but no rows")
    if "" in sheet.columns[image]:
        raise ValueError(f"{sheet.place(sheet.columns[image].index(''))} has no {image}")
    names, said = cells(sheet, config)
    own = columns.split or ("split" if "split" in sheet.columns else None)
    splits = [split] * len(sheet.lines) if split or own is None else _splits(sheet, own)
    group = column(sheet, columns.group, "data.table.group", ()) if columns.group else None
    shown = config.table.separator if config.targets == "multi" else ", "
    rows = [
        _Row(
            Entry(sheet.columns[image][row] + columns.suffix, shown.join(said[row]), sheet.file, sheet.lines[row]),
            said[row],
            splits[row],
            sheet.columns[group][row] if group else "",
        )
        for row in range(len(sheet.lines))
    ]
    return _Part(names, rows)


def _splits(sheet: Sheet, column: str) -> list[str]:
    name_of = {alias: split for split, aliases in ALIASES.items() for alias in aliases}
    if column not in sheet.columns:
        near = suggest(column, list(sheet.columns))
        raise ValueError(f"data.table.split: '{sheet.file}' has no column {column!r}{near}")
    values = [value.strip().lower() for value in sheet.columns[column]]
    for row, value in enumerate(values):
        if value not in name_of:
            raise ValueError(
                f"{sheet.place(row)}: {column} must be one of {', '.join(name_of)}, got {sheet.columns[column][row]!r}"
            )
    return [name_of[value] for value in values]


def _check_repeated(entries: Sequence[Entry], paths: Sequence[str]) -> None:
    first: dict[str, int] = {}
    for row, path in enumerate(paths):
        before = entries[first.setdefault(path, row)]
        if before is not entries[row]:
            where = f"line {before.line}" if before.file == entries[row].file else before.place
            classes = "" if before.text == entries[row].text else f", there with the class {before.text!r}"
            raise ValueError(f"{entries[row].place}: '{entries[row].image}' is listed twice, also in {where}{classes}")


def _of_splits(rows: Sequence[_Row]) -> dict[str, list[int]]:
    """Returns the positions of each split's rows; those without a split are training images."""
    splits: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        splits.setdefault(row.split or "train", []).append(place)
    if "train" not in splits:
        raise ValueError(f"'{rows[0].entry.file}' has no training images")
    if "test" not in splits and "val" in splits:
        splits["test"] = splits.pop("val")
    return splits


def _labels(rows: Sequence[_Row], train: Sequence[int], names: list[str], config: Data) -> tuple[list[str], np.ndarray]:
    """Returns the names of the classes or numbers, and the labels of `Images`, -1 for a class that is not chosen."""
    if config.targets == "numbers":
        return names, numbers([row.said for row in rows], names, [row.entry.place for row in rows])
    chosen = choose_classes(_class_names(rows, train), config.subset)
    place = {name: number for number, name in enumerate(chosen)}
    if config.targets == "single":
        return chosen, np.array([place.get(row.said[0], -1) for row in rows], np.int64)
    labels = np.zeros((len(rows), len(chosen)), np.uint8)
    for row, each in enumerate(rows):
        labels[row, [place[name] for name in each.said if name in place]] = 1
    return chosen, labels


def _class_names(rows: Sequence[_Row], train: Sequence[int]) -> list[str]:
    """Returns the classes, numbers by their size and other names by the alphabet."""
    learned = {name for row in train for name in rows[row].said}
    for row in rows:
        for name in row.said:
            if name not in learned:
                raise ValueError(f"{row.entry.place}: the class {name!r} has no training images")
    if not learned:
        raise ValueError(f"'{rows[0].entry.file}' names no class of any training image")
    if all(name.isascii() and name.isdecimal() for name in learned):
        return sorted(learned, key=lambda name: (int(name), name))
    return sorted(learned)


def _open(
    folder: Path,
    rows: list[int],
    paths: Sequence[bytes],
    labels: np.ndarray,
    groups: np.ndarray | None,
    bits: int | None,
    config: Data,
) -> Images:
    """Opens the images of one split."""
    files: list[bytes] = [paths[row] for row in rows]
    left_out: tuple[str, ...] = ()
    if config.on_error == "skip":
        files, labels, left_out = whole(folder, files, labels, bits)
        kept = set(files)
        rows = [row for row in rows if paths[row] in kept]
    images = opened(folder, files, labels, left_out, cache=config.cache, bits=bits)
    return images if groups is None else images.grouped(groups[rows])
