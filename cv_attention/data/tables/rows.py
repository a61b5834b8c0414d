"""Opens images that are listed with their classes, wherever the list comes from."""

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

SEPARATOR = ";"  # between the classes of one image


class Row(NamedTuple):
    """One image of a list.

    Attributes:
        entry: Path and class of the image; several classes are separated by semicolons.
        split: ``train``, ``val`` or ``test``, or "" where the list names none.
        group: What images that stay together share.
    """

    entry: Entry
    split: str
    group: str = ""


class Listing(NamedTuple):
    """Rows whose paths start from one folder.

    Attributes:
        rows: The rows.
        folder: The folder.
    """

    rows: Sequence[Row]
    folder: Path


def one_class(row: Row, classes: Sequence[str]) -> Row:
    """Returns a row with its class.

    Raises:
        ValueError: if the image has several classes, or none; names it.
    """
    if len(classes) != 1:
        got = f"{SEPARATOR.join(classes):.100}" if classes else "none"
        raise ValueError(f"{row.entry.place}: '{row.entry.image}' must have one class, got {got}")
    return row._replace(entry=row.entry._replace(text=classes[0]))


def open_listings(listings: Sequence[Listing], top: Path, config: Data) -> tuple[list[str], dict[str, Images]]:
    """Opens the images of lists: class names, and the images of each split, of ``train`` alone without splits.

    Args:
        listings: The lists.
        top: Folder of the data set, out of which no path may lead.
        config: The data set.

    Raises:
        FileNotFoundError: if an image does not exist; names line and path.
        ValueError: if an image is listed twice, or a class has no training images; names the line.
    """
    rows = [row for listing in listings for row in listing.rows]
    folders = ("images", *(name for names in ALIASES.values() for name in names))
    paths = []
    for listing in listings:
        if listing.rows:
            paths += image_paths([row.entry for row in listing.rows], listing.folder, top, folders)
    entries = [row.entry for row in rows]
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


def _check_repeated(entries: Sequence[Entry], paths: Sequence[str]) -> None:
    first: dict[str, int] = {}
    for row, path in enumerate(paths):
        before = entries[first.setdefault(path, row)]
        if before is not entries[row]:
            where = f"line {before.line}" if before.file == entries[row].file else before.place
            classes = "" if before.text == entries[row].text else f", there with the class {before.text!r}"
            raise ValueError(f"{entries[row].place}: '{entries[row].image}' is listed twice, also in {where}{classes}")


def _of_splits(rows: Sequence[Row]) -> dict[str, list[int]]:
    """Returns the positions of each split's rows; those without a split are training images."""
    splits: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        splits.setdefault(row.split or "train", []).append(place)
    if "train" not in splits:
        raise ValueError(f"'{rows[0].entry.file}' has no training images")
    if "test" not in splits and "val" in splits:
        splits["test"] = splits.pop("val")
    return splits


def _class_names(rows: Sequence[Row], train: Sequence[int]) -> list[str]:
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
