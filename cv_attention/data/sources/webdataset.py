"""Reads tar shards as WebDataset writes them: root/{train,val,test}-*.tar or root/{train,val,test}/*.tar.

The headers are read once and stored as an index; after that any image can be read at its offset. So shards are sampled
exactly like a folder: every process gets its part of one permutation, each image counts once in an evaluation, and no
process waits for another at the end of an epoch, which streams of shards cannot guarantee.
"""

import hashlib
from pathlib import Path

import numpy as np

from cv_attention.config import Subset
from cv_attention.data.decoding.bit_depth import found_bits
from cv_attention.data.decoding.broken import find_broken, warn
from cv_attention.data.decoding.decode import read_bytes
from cv_attention.data.decoding.text import decode_text
from cv_attention.data.guessing import not_found, other_kind
from cv_attention.data.sources.images import Images
from cv_attention.data.sources.shards import FIELDS, Shards, open_shards
from cv_attention.data.sources.subset import choose_classes

# Without a list of names, the labels of a small data set must look like classes counted from 0.
_UNNAMED = 10_000
_SPLITS = ("train", "val", "test")


def load(
    root: str,
    subset: Subset,
    bits: int | None = None,
    *,
    skip: bool = False,
    alone: bool = False,
    field: str | None = None,
) -> tuple[list[str], dict[str, Images]]:
    """Reads the shards' index: class names, and the images of `train`, `test` and, if it exists, `val`.

    Each image is ``<key>.jpg`` (or has another image extension) with its class, a number from 0 or a name, in
    ``<key>.cls`` or a field of ``<key>.json``. ``root/classes.txt`` names the classes, one per line; without it they
    are named by their numbers. With only two splits the other one is the test split, as for folders. Shards without a
    split in their names, as img2dataset writes them, are training images.

    Args:
        root: The folder.
        subset: The classes to use.
        bits: Bit depth of images with more than 8 bits; None determines it from a sample of the training images.
        skip: Decodes all images once and leaves out broken ones.
        alone: Accepts training images alone.
        field: Field of ``<key>.json`` that states the class; None takes the first of the usual ones.

    Raises:
        FileNotFoundError: if the folder does not exist.
        ValueError: if a split is missing, an archive is compressed or damaged, an image has no class or a class no
            name; names the place.
    """
    base = Path(root).expanduser()
    if not base.is_dir():
        raise not_found(root, "webdataset")
    archives_of = {split: sorted([*base.glob(f"{split}-*.tar"), *base.glob(f"{split}/*.tar")]) for split in _SPLITS}
    archives_of = {split: archives for split, archives in archives_of.items() if archives}
    if not archives_of and alone:
        archives_of = {"train": archives} if (archives := sorted(base.glob("*.tar"))) else {}
    if "train" not in archives_of or (len(archives_of) < 2 and not alone):
        present = ", ".join(sorted(path.name for path in base.iterdir())[:8]) or "nothing"
        offered = "train" in archives_of or (not archives_of and any(base.glob("*.tar")))
        offer = "; to hold out test images of each class, set data.test_fraction" if offered else ""
        offer = offer or other_kind(root, "webdataset")
        raise ValueError(
            f"'{root}' must contain train-*.tar and test-*.tar, or train-*.tar, val-*.tar and test-*.tar, got {present}"
            f"{offer}"
        )
    if "test" not in archives_of and "val" in archives_of:
        archives_of["test"] = archives_of.pop("val")
    fields = FIELDS if field is None else (field.lower(),)
    splits = {
        split: open_shards(base / ".cv_attention", archives, fields=fields) for split, archives in archives_of.items()
    }
    names, labels = _classes(base, splits)
    chosen = choose_classes(names, subset)
    position = np.array([chosen.index(name) if name in chosen else -1 for name in names])
    rows = {split: np.flatnonzero(position[own] >= 0) for split, own in labels.items()}
    for split, chosen_rows in rows.items():
        if not len(chosen_rows):
            raise ValueError(f"'{archives_of[split][0].parent}' has {split} images, but of none of the chosen classes")
    if bits is None:
        train, used = splits["train"], rows["train"]
        bits = found_bits(len(used), lambda index, most: train.content(int(used[index]), most))
    images = {}
    for split, shards in splits.items():
        shards.bits = bits
        kept, left_out = _whole(split, shards, rows[split]) if skip else (rows[split], ())
        images[split] = Images(position[labels[split][kept]], kept, shards, left_out=left_out)
    return chosen, images


def _whole(split: str, shards: Shards, rows: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Returns the rows of intact images, and the errors of the others."""
    digest = hashlib.sha256(rows.tobytes()).hexdigest()[:8]
    store = shards.index.with_name(f"{shards.index.stem}-{digest}-{shards.bits}-broken.json")
    broken = find_broken(store, len(rows), lambda index: shards.read(int(rows[index])))
    kept = np.array([row for index, row in enumerate(rows) if index not in broken], np.int64)
    if len(np.unique(shards.labels[kept])) < len(np.unique(shards.labels[rows])):
        raise ValueError(
            f"'{shards.archives[0].parent}' has a class whose {split} images are all broken: "
            f"{next(iter(broken.values()))}"
        )
    return kept, warn(split, broken, len(rows))


def _classes(base: Path, splits: dict[str, Shards]) -> tuple[list[str], dict[str, np.ndarray]]:
    """Returns the class names, and positions in them for each split."""
    named = [split for split, shards in splits.items() if shards.class_names]
    if not named:
        return _class_names(base, splits), {split: shards.labels for split, shards in splits.items()}
    if len(named) < len(splits):
        raise ValueError(f"the shards of {named[0]} in '{base}' name classes, and those of another split number them")
    stated = sorted({name for shards in splits.values() for name in shards.class_names})
    listed = base / "classes.txt"
    names = _listed(listed) if listed.is_file() else stated
    if unknown := [name for name in stated if name not in names]:
        raise ValueError(f"the shards have the class {unknown[0]!r}, which '{listed}' does not name")
    place = {name: number for number, name in enumerate(names)}
    tables = {split: np.array([place[name] for name in shards.class_names]) for split, shards in splits.items()}
    labels = {split: tables[split][shards.labels] for split, shards in splits.items()}
    if unlearned := set(stated) - set(splits["train"].class_names):
        raise ValueError(f"'{base}': the class {min(unlearned)!r} has no training images")
    return names, labels


def _class_names(base: Path, splits: dict[str, Shards]) -> list[str]:
    count = 1 + max(int(shards.labels.max()) for shards in splits.values())
    listed = base / "classes.txt"
    if not listed.is_file():
        images = sum(len(shards.labels) for shards in splits.values())
        if count > max(_UNNAMED, images):
            raise ValueError(
                f"'{base}' has {images} images and labels up to {count - 1}; classes are counted from 0. If this is "
                f"right, name all {count} classes in '{listed}', one per line"
            )
        return [str(number) for number in range(count)]
    names = _listed(listed)
    if len(names) < count:
        raise ValueError(f"'{listed}' names {len(names)} classes, but the shards have labels up to {count - 1}")
    return names


def _listed(listed: Path) -> list[str]:
    names = [line.strip() for line in decode_text(read_bytes(listed), f"'{listed}'").splitlines() if line.strip()]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"'{listed}' names a class twice: {twice}")
    return names
