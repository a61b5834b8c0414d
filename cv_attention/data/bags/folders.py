"""Reads folders of bags: root/{train,val,test}/<class>/<bag>/<image>."""

import os

import numpy as np

from cv_attention.config import Data
from cv_attention.data.bags.bag_set import Bags
from cv_attention.data.sources import folder
from cv_attention.data.sources.images import Images


def load(config: Data) -> tuple[list[str], dict[str, Bags]]:
    """Reads class names and the bags of `train`, `test` and, if it exists, `val`.

    Images anywhere below a bag's folder are its images, in the order of their paths.

    Args:
        config: The data set; see `folder.load` for what is read and what is an error.

    Returns:
        The names of the classes and the bags of each split.

    Raises:
        FileNotFoundError: if the folder does not exist.
        ValueError: if an image lies in a class's folder itself, in no bag; or as `folder.load`.
    """
    skip = config.on_error == "skip"
    names, images = folder.load(config.root, config.subset, config.cache, config.bits, skip=skip)
    return names, {split: _grouped(part, names) for split, part in images.items()}


def _grouped(images: Images, names: list[str]) -> Bags:
    """Groups the images of a split, which come class by class in the order of their paths, by their bags."""
    bags: dict[tuple[int, str], list[int]] = {}
    for index in range(len(images)):
        path, label = images.path(index), int(images.labels[index])
        assert path is not None
        below = _below_class(path, names[label])
        if len(below) < 2:
            raise ValueError(
                f"'{path}' is in no bag; expected <split>/<class>/<bag>/<image>, with a folder for each bag"
            )
        bags.setdefault((label, below[0]), []).append(index)
    order = np.concatenate([np.array(members, np.int64) for members in bags.values()])
    starts = np.cumsum([0, *map(len, bags.values())])
    labels = np.array([label for label, _ in bags], np.int64)
    return Bags(images.select(order), starts, labels, [f"{names[label]}/{bag}" for label, bag in bags])


def _below_class(path: str, name: str) -> list[str]:
    """Returns the parts of a path behind the folder of its class, which is the second below the root."""
    parts = path.split(os.sep)
    splits = {alias for aliases in folder.ALIASES.values() for alias in aliases}
    for position in range(len(parts) - 2, 0, -1):
        if parts[position] == name and parts[position - 1].lower() in splits:
            return parts[position + 1 :]
    return parts[-1:]
