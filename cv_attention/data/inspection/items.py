"""Lists the images of a data set for inspection, faults included."""

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from cv_attention.config import BAG_SOURCES, TEXT_SOURCES, Data
from cv_attention.data.decoding.decode import read_bytes, shown
from cv_attention.data.guessing import not_found, other_kind
from cv_attention.data.inspection.findings import Finding, finding
from cv_attention.data.sources.folder import EXTENSIONS, find_images, split_folders, subfolders

# Photographs and drawings that are not read: those of telephones, cameras and drawing programs.
_UNREAD = (
    *(".heic", ".heif", ".jxl", ".raw", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2"),
    *(".svg", ".psd", ".pdf", ".eps", ".dcm"),
)
_LOOSE = "images outside of the class folders are not used"
_ONE_SIZE = [{"Resize": {"height": 32, "width": 32}}]


@dataclass(frozen=True)
class Item:
    """One image to be inspected.

    Attributes:
        split: ``train``, ``val``, ``test``, or ``all`` where images are not divided.
        classes: Its class, or its classes; none where images have numbers, or nothing is said of it.
        name: Path or name, safe for terminals.
        content: Reads the image's file; None where there is none.
        read: Reads its pixels, uint8 (H, W, 3).
        numbers: Its numbers, where images have numbers.
    """

    split: str
    classes: tuple[str, ...]
    name: str
    content: Callable[[], bytes] | None
    read: Callable[[], np.ndarray] | None = None
    numbers: tuple[float, ...] = ()


class Contents(NamedTuple):
    """The images of a data set, and what they are labelled with.

    Attributes:
        items: The images.
        findings: What is wrong with their folders.
        targets: ``single``, ``multi`` or ``numbers``, as ``data.targets``; empty where images are not labelled so.
        names: Names of the classes, also of those without images, or of the numbers.
    """

    items: list[Item]
    findings: list[Finding]
    targets: Literal["single", "multi", "numbers", ""]
    names: list[str]


def list_folder(config: Data) -> Contents:
    """Lists a folder of classes, with or without splits, and what is wrong with the folders themselves.

    Raises:
        FileNotFoundError: if the folder does not exist.
    """
    base = Path(config.root).expanduser()
    if not base.is_dir():
        raise not_found(config.root, config.name)
    present = split_folders(base)
    several = [f"{', '.join(path.name for path in paths)}" for paths in present.values() if len(paths) > 1]
    found = finding("splits", "error", "several folders of one split; keep one", several)
    folders = {split: paths[0] for split, paths in present.items() if paths} or {"all": base}
    if len(folders) > 1 and "train" not in folders:
        found += finding("splits", "error", "no folder train", [shown(base)])
    items: list[Item] = []
    for split, folder in folders.items():
        listed, faults = _classes(split, folder)
        items += listed
        found += faults
    known = [path for paths in present.values() for path in paths]
    loose = [shown(base / entry.name) for entry in os.scandir(base) if _is_image(entry)] if known else []
    found += finding("loose image", "warning", _LOOSE, sorted(loose))
    unused = [name for name in subfolders(base) if base / name not in known] if known else []
    found += finding("unused folder", "warning", "folders next to the splits are not used", unused)
    return Contents(items, _joined(found), "single", sorted({name for item in items for name in item.classes}))


def _joined(found: list[Finding]) -> list[Finding]:
    """Joins findings of one kind."""
    joined: dict[tuple[str, str], Finding] = {}
    for each in found:
        before = joined.get((each.kind, each.text))
        joined[each.kind, each.text] = replace(each, places=before.places + each.places) if before else each
    return list(joined.values())


def _classes(split: str, folder: Path) -> tuple[list[Item], list[Finding]]:
    """Lists the images of one split."""
    names = subfolders(folder)
    missing = [] if names else [shown(folder)]
    found = finding("no classes", "error", f"no class folders{other_kind(folder, 'folder')}", missing)
    loose = [entry.name for entry in os.scandir(folder) if _is_image(entry)]
    found += finding("loose image", "warning", _LOOSE, [shown(folder / name) for name in sorted(loose)])
    items: list[Item] = []
    empty: list[str] = []
    for name in names:
        files, skipped = find_images(folder / name)
        found += finding("left out", "warning", "left out by reading", skipped)
        empty += [] if files else [shown(folder / name)]
        others, unread = _others(folder / name)
        found += finding("other file", "note", "files without the extension of an image are not used", others)
        found += finding("unread", "warning", "photographs and drawings of kinds that are not read: save them as JPEG "
                         "or PNG", unread)  # fmt: skip
        paths = [os.fsdecode(file) for file in files]
        below = [shown(path) for path in paths if Path(path).parent != folder / name]
        found += finding("nested", "note", "images in folders within a class folder belong to its class", below)
        items += [Item(split, (name,), shown(path), partial(read_bytes, path)) for path in paths]
    hint = "" if items else other_kind(folder, "folder")
    return items, found + finding("empty class", "error", f"class folders without images{hint}", empty)


def _is_image(entry: "os.DirEntry[str]") -> bool:
    return entry.is_file() and not entry.name.startswith(".") and Path(entry.name).suffix.lower() in EXTENSIONS


def _others(folder: Path) -> tuple[list[str], list[str]]:
    """Returns the files in a folder and below it that are hidden or not called as images are, and `_UNREAD` ones."""
    others, unread = list[str](), list[str]()
    for where, _, names in os.walk(folder):
        for name in sorted(names):
            suffix = Path(name).suffix.lower()
            if not name.startswith(".") and suffix in _UNREAD:
                unread.append(shown(Path(where, name)))
            elif name.startswith(".") or suffix not in EXTENSIONS:
                others.append(shown(Path(where, name)))
    return others, unread


def list_any(config: Data) -> Contents:
    """Lists the images of any other data set, as training opens it.

    Raises:
        ValueError: if it cannot be opened, or is drawn from the images of another one.
    """
    from cv_attention.data import create

    if config.name in ("digit_bags", "episodes"):
        raise ValueError(f"data.name {config.name} draws from the images of a data set; check that one, such as folder")

    if config.name not in (*BAG_SOURCES, *TEXT_SOURCES):  # images are read as they are, whatever training makes of them
        config = replace(config, train_transforms=_ONE_SIZE, eval_transforms=_ONE_SIZE)
    module = create(config)
    module.prepare_data()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".* is a list of others")  # which is a finding
        module.setup()
    splits: dict[str, Any] = module.splits
    labelled = all(isinstance(getattr(part.images, "labels", None), np.ndarray) for part in splits.values())
    names = list(getattr(module, "class_names", [])) if labelled else []
    targets = config.targets if names else ""
    items = []
    for split, part in splits.items():
        images = part.images
        for index in range(len(images)):
            path = images.path(index)
            classes, numbers = _said(targets, names, images.labels[index] if names else None)
            content = None if path is None else partial(read_bytes, path)
            read = partial(images.read, index)
            items.append(Item(split, classes, images.describe(index).strip("'"), content, read, numbers))
    return Contents(items, [], targets, names)


def _said(targets: str, names: list[str], label: Any) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """Returns the classes and the numbers of an image."""
    if targets == "single":
        return (names[int(label)],), ()
    if targets == "multi":
        return tuple(names[place] for place in np.flatnonzero(label)), ()
    return (), tuple(map(float, label)) if targets == "numbers" else ()
