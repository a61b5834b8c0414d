"""Finds the classes of a folder, one or two levels deep, with classes of their own in each split or divided here."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from cv_attention.config import Data
from cv_attention.data.episodes.classes import Classes, divide, hold_out
from cv_attention.data.guessing import not_found
from cv_attention.data.sources import folder

# Omniglot's names of its two splits are accepted too.
SPLITS = {
    "train": (*folder.ALIASES["train"], "background", "images_background"),
    "val": folder.ALIASES["val"],
    "test": (*folder.ALIASES["test"], "evaluation", "images_evaluation"),
}
Found = dict[str, list[bytes]]  # the files of each class


def load(config: Data, least: int) -> dict[str, Classes]:
    """Reads the classes of ``train``, ``val`` and ``test``, none of which is in two splits.

    A class is a folder of images; its name is its path below the split, such as ``Greek/character01``. If ``root`` has
    folders ``train`` and ``test`` (or ``background`` and ``evaluation``, as Omniglot) with different classes, these are
    the splits, and validation classes are held out of ``train`` unless there is a folder ``val``; of only ``train`` and
    ``val``, the latter is the test split. If the folders have the same classes, or there are no such folders, all
    images of a class are put together and the classes are divided.

    Args:
        config: The data set.
        least: Number of classes that each split needs.

    Raises:
        FileNotFoundError: if the folder does not exist.
        ValueError: if a class is empty, some but not all classes of a split are in another one, or there are too few.
    """
    base = Path(config.root).expanduser()
    if not base.is_dir():
        raise not_found(config.root, "episodes")
    found = {split: _classes(place) for split, place in _splits(base).items()} or {"all": _classes(base)}
    if len(found) == 1 or not _apart(found):
        found = {"all": _joined(found)}
    first = [file for files in next(iter(found.values())).values() for file in files]  # the training images, or all
    bits = folder.bits_of(first) if config.bits is None else config.bits
    if "all" in found:
        return _divided(_open(base, found["all"], config, bits), config, least)
    if "test" not in found:
        found["test"] = found.pop("val")
    every = {split: _open(base, classes, config, bits) for split, classes in found.items()}
    if "val" not in every:
        every["train"], every["val"] = _held_out(every["train"], config, least)
    return every


def _splits(base: Path) -> dict[str, Path]:
    """Returns the folders of the splits; none unless there is one for training and another."""
    found: dict[str, Path] = {}
    for split, present in folder.split_folders(base, SPLITS).items():
        if len(present) > 1:
            raise ValueError(f"'{base}' has several {split} folders: {', '.join(p.name for p in present)}; keep one")
        if present:
            found[split] = present[0]
    return found if "train" in found and len(found) > 1 else {}


def _classes(place: Path) -> Found:
    """Returns the image files of each class below a folder: its subfolders, or the subfolders of those."""
    found: Found = {}
    seen: dict[str, Path] = {}
    for name in folder.subfolders(place):
        inner, images = folder.subfolders(place / name), _has_images(place / name)
        if inner and images:
            raise ValueError(
                f"'{place / name}' holds images and folders; a class is a folder of images, and a group of classes a "
                "folder of such folders"
            )
        for path in [Path(name, each) for each in inner] or [Path(name)]:
            _check_link(place, path, seen)
            files = folder.image_files(place / path)
            if not files:
                extensions = ", ".join(folder.EXTENSIONS[:6])
                raise ValueError(f"class folder '{place / path}' contains no images ({extensions}, ...)")
            found[path.as_posix()] = files
    if not found:
        raise ValueError(f"'{place}' has no class folders; expected {place.name}/<class>/<image>")
    return found


def _check_link(place: Path, path: Path, seen: dict[str, Path]) -> None:
    """Raises ValueError where a class is a link to a folder above it, or to another class; notes it in `seen`."""
    real = os.path.realpath(place / path)
    if real == os.path.commonpath([real, os.path.realpath(place)]):
        raise ValueError(f"'{place / path}' leads to '{real}', which holds other classes; remove the link")
    if (earlier := seen.setdefault(real, path)) != path:
        raise ValueError(f"'{place / path}' and '{place / earlier}' are the same folder; a class has one name")


def _has_images(place: Path) -> bool:
    extensions = (os.path.splitext(name)[1].lower() for name in os.listdir(place) if not name.startswith("."))
    return any(extension in folder.EXTENSIONS for extension in extensions)


def _apart(found: dict[str, Found]) -> bool:
    """Returns whether the splits have different classes; False if the others have classes of ``train`` alone."""
    splits = list(found)
    shared = {name for one in splits for other in splits if one != other for name in found[one].keys() & found[other]}
    if not shared:
        return True
    for split in splits:
        for name in found[split]:
            if split != "train" and name not in found["train"]:
                raise ValueError(
                    f"data.root: the class '{name}' is in {split} alone, but '{min(shared)}' is in several splits; "
                    "give every split classes of its own, or all of them the same"
                )
    return False


def _joined(found: dict[str, Found]) -> Found:
    joined: Found = {}
    for classes in found.values():
        for name, files in classes.items():
            joined.setdefault(name, []).extend(files)
    return joined


def _open(base: Path, found: Found, config: Data, bits: int | None) -> Classes:
    files = [file for of_class in found.values() for file in of_class]
    labels = np.repeat(np.arange(len(found)), [len(of_class) for of_class in found.values()])
    left_out: tuple[str, ...] = ()
    if config.on_error == "skip":
        files, labels, left_out = folder.whole(base / "images", files, labels, bits)
    images = folder.opened(base / "images", files, labels, left_out, cache=config.cache, bits=bits)
    return Classes.of(list(found), images)


def _divided(every: Classes, config: Data, least: int) -> dict[str, Classes]:
    shares = config.episodes.test_fraction, config.val_fraction
    chosen = divide(len(every), shares, least, config.seed)
    return {"train": part(every, chosen["train"]), **{name: _rest(every, chosen[name]) for name in ("val", "test")}}


def _held_out(train: Classes, config: Data, least: int) -> tuple[Classes, Classes]:
    order = np.random.default_rng(config.seed).permutation(len(train))
    chosen = hold_out(order, config.val_fraction, least)
    return part(train, chosen["train"]), _rest(train, chosen["val"])


def _rest(classes: Classes, chosen: np.ndarray) -> Classes:
    """Returns some of the classes; what was left out of all is noted with the training classes."""
    found = part(classes, chosen)
    return replace(found, images=replace(found.images, left_out=()))


def part(classes: Classes, chosen: np.ndarray) -> Classes:
    """Returns some of the classes, with their images alone.

    Args:
        classes: All classes.
        chosen: Positions of those that are wanted.
    """
    names = [classes.names[index] for index in chosen]
    members = [classes.members[index] for index in chosen]
    images = classes.images.select(np.concatenate(members))
    ends = np.cumsum([len(positions) for positions in members])
    return Classes(
        images,
        names,
        np.split(np.arange(len(images)), ends[:-1]),
        classes.turns[chosen],
        classes.mirrored[chosen],
        classes.warped,
    )
