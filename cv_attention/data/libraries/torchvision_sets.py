"""Reads torchvision's built-in data sets of images with classes, by their names there."""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cv_attention.data.libraries.listed import Listed, images_of, numbered
from cv_attention.data.sources.images import Images
from cv_attention.suggest import suggest

# Values of the argument `split` for train, val and test, where they are not train and test.
_SPLITS: dict[str, dict[str, str]] = {
    "Country211": {"train": "train", "val": "valid", "test": "test"},
    "DTD": {"train": "train", "val": "val", "test": "test"},
    "FGVCAircraft": {"train": "train", "val": "val", "test": "test"},
    "Flowers102": {"train": "train", "val": "val", "test": "test"},
    "ImageNet": {"train": "train", "test": "val"},
    "Imagenette": {"train": "train", "test": "val"},
    "OxfordIIITPet": {"train": "trainval", "test": "test"},
    "PCAM": {"train": "train", "val": "val", "test": "test"},
    "Places365": {"train": "train-standard", "test": "val"},
    "RenderedSST2": {"train": "train", "val": "val", "test": "test"},
    **{
        name: {"train": "train", "test": "test"}
        for name in ("Food101", "GTSRB", "LFWPeople", "StanfordCars", "STL10", "SVHN")
    },
}
_BOOLEAN = ("CIFAR10", "CIFAR100", "EMNIST", "FashionMNIST", "KMNIST", "MNIST", "USPS")  # of the argument `train`
_WHOLE = ("Caltech101", "Caltech256", "EuroSAT", "SEMEION", "SUN397")  # without splits
NAMES = tuple(sorted((*_SPLITS, *_BOOLEAN, *_WHOLE)))
_LABELS = ("targets", "_labels", "labels", "y")  # what torchvision's classes call them


def load(
    name: str, root: str, options: Mapping[str, Any], *, skip: bool = False
) -> tuple[list[str], dict[str, Images]]:
    """Reads class names and the images of each split, of ``train`` alone where the data set has no splits.

    Args:
        name: Name of the class in `torchvision.datasets`.
        root: Folder in which torchvision looks for the files.
        options: Further arguments of the class, such as ``{split: letters}`` of EMNIST.
        skip: Decode all images once and leave out those that are broken.

    Raises:
        FileNotFoundError: if the files are missing.
        ValueError: if there is no such data set, it has several labels for each image, or an option is wrong.
    """
    sets = {split: _open(name, root, {**options, **own}, False) for split, own in _arguments(name).items()}
    place = f"torchvision/{name}"
    values = {split: _labels(dataset, place) for split, dataset in sets.items()}
    classes, labels = numbered(values, _class_names(sets["train"]), place)
    stores = {split: Listed(dataset, _pixels, f"{place}, {split}") for split, dataset in sets.items()}
    broken = Path(root).expanduser() / ".cv_attention"
    kept = {split: broken / f"broken-{name}-{split}-{len(own)}.json" for split, own in labels.items()}
    return classes, {
        split: images_of(store, labels[split], split, kept[split] if skip else None) for split, store in stores.items()
    }


def download(name: str, root: str, options: Mapping[str, Any]) -> None:
    """Downloads what is missing of a data set, where torchvision can.

    Args:
        name: Name of the class in `torchvision.datasets`.
        root: Folder in which torchvision looks for the files.
        options: Further arguments of the class.

    Raises:
        FileNotFoundError: if it cannot be downloaded.
        ValueError: if there is no such data set, or an option is wrong.
    """
    for own in _arguments(name).values():
        _open(name, root, {**options, **own}, True)


def _arguments(name: str) -> dict[str, dict[str, Any]]:
    """Returns the arguments of each split."""
    if name in _WHOLE:
        return {"train": {}}
    if name in _BOOLEAN:
        return {"train": {"train": True}, "test": {"train": False}}
    if name in _SPLITS:
        return {split: {"split": value} for split, value in _SPLITS[name].items()}
    raise ValueError(f"data.name: no data set torchvision/{name} with one class for each image{suggest(name, NAMES)}")


def _open(name: str, root: str, options: Mapping[str, Any], download: bool) -> Any:
    from torchvision import datasets

    kind = getattr(datasets, name)
    accepted = {option for base in kind.__mro__ for option in inspect.signature(base).parameters}  # some pass them on
    for option in options:
        if option not in accepted:
            near = suggest(option, sorted(accepted))
            raise ValueError(f"data.options: torchvision/{name} has no option {option!r}{near}")
    try:
        return kind(root, **options, **({"download": download} if "download" in accepted else {}))
    except (OSError, RuntimeError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())
        what = "could not be downloaded" if download else "was not found"
        raise FileNotFoundError(f"torchvision/{name} {what} in '{root}' ({reason[:300]})") from error


def _labels(dataset: Any, place: str) -> list[Any]:
    for attribute in _LABELS:
        found = getattr(dataset, attribute, None)
        if found is not None and len(found) == len(dataset):
            return np.asarray(found).reshape(len(dataset), -1)[:, 0].tolist()
    for attribute in ("samples", "_samples"):
        if found := getattr(dataset, attribute, None):
            return [int(target) for _, target in found]
    found = [dataset[number][1] for number in range(len(dataset))]  # decodes each image once
    if wrong := next((label for label in found if not isinstance(label, int)), None):
        raise ValueError(f"{place}: one class for each image is needed, got {wrong!r:.60}")
    return found


def _class_names(dataset: Any) -> list[str] | None:
    for attribute in ("classes", "categories"):
        found = getattr(dataset, attribute, None)
        if isinstance(found, list | tuple) and found and all(isinstance(name, str | tuple | list) for name in found):
            return [name if isinstance(name, str) else name[0] for name in found]
    return None


def _pixels(dataset: Any, row: int, bits: int | None) -> np.ndarray:
    return np.asarray(dataset[row][0].convert("RGB"))
