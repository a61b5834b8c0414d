"""Matches image folders to the class names of a trained network."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cv_attention.config import Data
from cv_attention.data.augmentation.transforms import Pipeline
from cv_attention.data.guessing import not_found
from cv_attention.data.sources.files import Files
from cv_attention.data.sources.folder import bits_of, image_files, split_folders, subfolders
from cv_attention.data.sources.image_set import ImageSet
from cv_attention.data.sources.images import Images
from cv_attention.suggest import suggest


def named_split(config: Data, split: str, names: Sequence[str], ids: Sequence[str]) -> ImageSet:
    """Reads the labelled images of one split for a network without a training run.

    The folder ``root/<split>``, or `root` itself where there is none, holds a folder for each class, of which some may
    be missing; or the images themselves, named ``<class>_<anything>``. A class goes by its id (``n01440764``) or its
    name. The only split other than ``train`` is the test split, as everywhere.

    Args:
        config: Where the images are, and their evaluation transforms.
        split: ``train``, ``val`` or ``test``.
        names: The network's classes, in the order of its logits.
        ids: Other names of the same classes, such as WordNet's.

    Raises:
        FileNotFoundError: if the folder does not exist.
        ValueError: if it contains no images, or a class unknown to the network.
    """
    if config.name != "folder":
        raise ValueError(f"data.name is {config.name}; a network without a training run is tested on data.name folder")
    folder = _split_folder(Path(config.root).expanduser(), split)
    by_class = {name: image_files(folder / name) for name in subfolders(folder)}
    if not any(by_class.values()):
        by_class = _by_file_names(folder)
    by_class = {name: files for name, files in by_class.items() if files}
    if not by_class:
        raise ValueError(f"'{folder}' contains neither class folders with images nor images named <class>_<name>")
    places = _places(list(by_class), names, ids, folder)
    labels = np.concatenate([np.full(len(files), places[name], np.int64) for name, files in by_class.items()])
    files = np.array([file for files in by_class.values() for file in files])
    bits = config.bits or bits_of(files.tolist())
    images = Images(labels, np.arange(len(files)), Files(files, bits))
    return ImageSet(split, images, Pipeline(config.eval_transforms, "data.eval_transforms"), config.seed)


def _split_folder(base: Path, split: str) -> Path:
    if not base.is_dir():
        raise not_found(base, "folder")
    folders = {name: present[-1] for name, present in split_folders(base).items() if present}
    if split == "test" and "test" not in folders and "val" in folders:
        return folders["val"]
    if folders and split not in folders:
        raise ValueError(f"'{base}' has no folder {split}; it has {', '.join(path.name for path in folders.values())}")
    return folders.get(split, base)


def _by_file_names(folder: Path) -> dict[str, list[bytes]]:
    by_class: dict[str, list[bytes]] = {}
    for file in image_files(folder):
        name, parted, _ = os.path.basename(os.fsdecode(file)).partition("_")
        if parted:
            by_class.setdefault(name, []).append(file)
    return by_class


def _places(folders: Sequence[str], names: Sequence[str], ids: Sequence[str], folder: Path) -> dict[str, int]:
    """Returns the index of each class among the network's; if those are only numbers, the order of the classes."""
    places: dict[str, list[int]] = {}
    for place, (name, identifier) in enumerate(zip(names, ids, strict=True)):
        for alias in {_fold(name), _fold(name.removesuffix(f" ({identifier})")), _fold(identifier)}:
            places.setdefault(alias, []).append(place)
    unknown = [name for name in folders if len(places.get(_fold(name), [])) != 1]
    if not unknown:
        return {name: places[_fold(name)][0] for name in folders}
    if list(names) == [str(number) for number in range(len(folders))]:
        return {name: place for place, name in enumerate(folders)}
    several = places.get(_fold(unknown[0]))
    if several:
        raise ValueError(
            f"'{folder}': {unknown[0]} is the name of several classes; use "
            f"{' or '.join(ids[place] for place in several)}"
        )
    near = suggest(unknown[0], dict.fromkeys([*names, *ids]), shown=3)
    raise ValueError(f"'{folder}' has the class {unknown[0]}, which is unknown to the network{near}")


def _fold(name: str) -> str:
    return name.strip().lower().replace("_", " ").replace("-", " ")
