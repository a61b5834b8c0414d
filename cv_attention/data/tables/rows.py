"""Opens images that are listed with their classes, wherever the list comes from."""

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cv_attention.config import Data
from cv_attention.data.labels import lists_among
from cv_attention.data.sources.folder import ALIASES, bits_of, opened, whole
from cv_attention.data.sources.images import Images
from cv_attention.data.sources.subset import choose_classes
from cv_attention.data.tables.entries import Entry
from cv_attention.data.tables.image_paths import check_presence, image_paths
from cv_attention.data.tables.targets import Cells, numbers

SEPARATOR = ";"  # between the classes of one image


class Row(NamedTuple):
    """One image of a list.

    Attributes:
        entry: Path of the image, and what is said of it as one text.
        said: Its class, its classes, or its numbers.
        split: ``train``, ``val`` or ``test``, or "" where the list names none.
        group: What images that stay together share.
    """

    entry: Entry
    said: Cells
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


def classified(image: str, classes: Sequence[str], file: Path, split: str, config: Data) -> Row:
    """Makes the row of an image with its classes.

    Args:
        image: Path of the image.
        classes: Its classes.
        file: Where they come from.
        split: Its split.
        config: The data set, which says whether an image may have several classes.

    Raises:
        ValueError: if it has several classes, or none, where it must have one; names it.
    """
    row = Row(Entry(image, SEPARATOR.join(classes), file), tuple(classes), split)
    if config.targets == "single" and len(classes) != 1:
        got = f"{SEPARATOR.join(classes):.100}" if classes else "none"
        hint = "; with data.targets multi it may have several" if classes else ""
        raise ValueError(f"{row.entry.place}: '{row.entry.image}' must have one class, got {got}{hint}")
    return row


def open_listings(
    listings: Sequence[Listing], top: Path, config: Data, names: Sequence[str] = ()
) -> tuple[list[str], dict[str, Images]]:
    """Opens the images of lists: names of classes or numbers, and the images of each split, or of ``train``.

    Args:
        listings: The lists.
        top: Folder of the data set, out of which no path may lead.
        config: The data set.
        names: Names of the numbers, where ``data.targets`` is ``numbers``.

    Raises:
        FileNotFoundError: if an image does not exist; names line and path.
        ValueError: if an image is listed twice, or a class has no training images; names the line.
    """
    rows = [row for listing in listings for row in listing.rows]
    folders = ("images", *(name for names in ALIASES.values() for name in names))
    elsewhere = "; if the images are elsewhere, set data.table.folder" if config.name == "table" else ""
    paths = []
    for listing in listings:
        if listing.rows:
            paths += image_paths([row.entry for row in listing.rows], listing.folder, top, folders, elsewhere)
    entries = [row.entry for row in rows]
    if config.on_error != "skip":  # which leaves missing images out like broken ones
        check_presence(entries, paths)
    _check_repeated(entries, paths, config.targets == "multi")
    splits = _of_splits(rows)
    chosen, labels = _labels(rows, splits["train"], names, config)
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


def _check_repeated(entries: Sequence[Entry], paths: Sequence[str], several: bool) -> None:
    first: dict[str, int] = {}
    for row, path in enumerate(paths):
        before = entries[first.setdefault(path, row)]
        if before is not entries[row]:
            where = f"line {before.line}" if before.file == entries[row].file else before.place
            classes = "" if before.text == entries[row].text else f", there with the class {before.text!r}"
            hint = "; list all classes of an image in one row" if several and classes else ""
            raise ValueError(
                f"{entries[row].place}: '{entries[row].image}' is listed twice, also in {where}{classes}{hint}"
            )


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


def _labels(
    rows: Sequence[Row], train: Sequence[int], names: Sequence[str], config: Data
) -> tuple[list[str], np.ndarray]:
    """Returns the names of the classes or numbers, and the labels of `Images`, -1 for a class that is not chosen."""
    if config.targets == "numbers":
        return list(names), numbers([row.said for row in rows], names, [row.entry.place for row in rows])
    chosen = choose_classes(_class_names(rows, train), config.subset)
    _warn_of_lists(chosen, rows[0].entry.file, config)
    place = {name: number for number, name in enumerate(chosen)}
    if config.targets == "single":
        return chosen, np.array([place.get(row.said[0], -1) for row in rows], np.int64)
    labels = np.zeros((len(rows), len(chosen)), np.uint8)
    for row, each in enumerate(rows):
        labels[row, [place[name] for name in each.said if name in place]] = 1
    return chosen, labels


def _warn_of_lists(names: Sequence[str], file: Path, config: Data) -> None:
    """Warns of classes such as ``cat;dog`` next to ``cat``."""
    if found := lists_among(names):
        multi = config.targets == "multi"
        wanted = f"data.table.separator, now {config.table.separator!r}" if multi else "data.targets multi"
        more = f" (and {len(found) - 1:,} more)" if len(found) > 1 else ""
        warnings.warn(f"'{file}': the class {found[0]!r}{more} is a list of others; set {wanted}", stacklevel=2)


def _class_names(rows: Sequence[Row], train: Sequence[int]) -> list[str]:
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
