"""Reads images whose classes are in a table: a CSV file, JSON Lines, Parquet, with a column of paths."""

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
from cv_attention.suggest import suggest

_IMAGES = ("path", "file", "file_name", "filename", "filepath", "image", "image_path", "image_id", "id")
_LABELS = ("label", "class", "class_name", "category", "target", "species")


class _Row(NamedTuple):
    """One image of a table: its path in an `Entry`, whose text is the class, its split or "", and its group."""

    entry: Entry
    split: str
    group: str


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
    rows = [row for split, file in files.items() for row in _rows(read_table(file), config, split)]
    top = Path(config.table.folder).expanduser() if config.table.folder else next(iter(files.values())).parent
    entries = [row.entry for row in rows]
    paths = image_paths(entries, top, top, ("images", *(name for names in ALIASES.values() for name in names)))
    check_presence(entries, paths)
    _check_repeated(entries, paths)
    splits = _of_splits(rows)
    names = _class_names(rows, splits["train"])
    chosen = choose_classes(names, config.subset)
    place = {name: number for number, name in enumerate(chosen)}
    encoded = [os.fsencode(path) for path in paths]
    kept = {name: [row for row in own if rows[row].entry.text in place] for name, own in splits.items()}
    bits = config.bits or bits_of([encoded[row] for row in kept["train"]])
    groups = np.unique([row.group for row in rows], return_inverse=True)[1] if config.table.group else None
    images = {}
    for name, own in kept.items():
        if not own:
            raise ValueError(f"'{config.root}' has {name} images, but of none of the chosen classes")
        labels = np.array([place[rows[row].entry.text] for row in own], np.int64)
        images[name] = _open(top / name, own, encoded, labels, groups, bits, config)
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


def _rows(sheet: Sheet, config: Data, split: str) -> list[_Row]:
    columns = config.table
    image = _column(sheet, columns.image, "data.table.image", _IMAGES)
    label = _column(sheet, columns.label, "data.table.label", _LABELS)
    own = columns.split or ("split" if "split" in sheet.columns else None)
    splits = [split] * len(sheet.lines) if split or own is None else _splits(sheet, own)
    group = _column(sheet, columns.group, "data.table.group", ()) if columns.group else None
    if not sheet.lines:
        raise ValueError(f"'{sheet.file}' has a header, but no rows")
    for name, values in ((image, sheet.columns[image]), (label, sheet.columns[label])):
        if "" in values:
            raise ValueError(f"{sheet.place(values.index(''))} has no {name}")
    return [
        _Row(
            Entry(sheet.columns[image][row] + columns.suffix, sheet.columns[label][row], sheet.file, sheet.lines[row]),
            splits[row],
            sheet.columns[group][row] if group else "",
        )
        for row in range(len(sheet.lines))
    ]


def _column(sheet: Sheet, wanted: str | None, option: str, usual: Sequence[str]) -> str:
    """Returns the name of a column: that which is wanted, or the first of the usual ones."""
    if wanted is not None:
        if wanted not in sheet.columns:
            raise ValueError(f"{option}: '{sheet.file}' has no column {wanted!r}{suggest(wanted, list(sheet.columns))}")
        return wanted
    by_name = {name.strip().lower(): name for name in sheet.columns}
    found = next((by_name[name] for name in usual if name in by_name), None)
    if found is None:
        there = ", ".join(sheet.columns)
        raise ValueError(f"'{sheet.file}' has the columns {there:.200}: name one of them as {option}")
    return found


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


def _class_names(rows: Sequence[_Row], train: Sequence[int]) -> list[str]:
    """Returns the classes, numbers by their size and other names by the alphabet."""
    learned = {rows[row].entry.text for row in train}
    for row in rows:
        if row.entry.text not in learned:
            raise ValueError(f"{row.entry.place}: the class {row.entry.text!r} has no training images")
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
