"""Reads the classes of images from COCO's annotations of objects."""

import json
import warnings
from collections import defaultdict
from pathlib import Path
from typing import Any

from cv_attention.config import Data
from cv_attention.data.guessing import not_found, other_kind
from cv_attention.data.sources.folder import ALIASES, split_folders
from cv_attention.data.sources.images import Images
from cv_attention.data.tables.rows import Listing, Row, classified, open_listings
from cv_attention.data.tables.sheets import text_of

_ROBOFLOW = "_annotations.coco.json"
_ANNOTATIONS = "annotations"


def load(config: Data) -> tuple[list[str], dict[str, Images]]:
    """Reads class names and the images of each split: the class of an image is that of its annotated objects.

    ``data.root`` is a folder with ``annotations/instances_train2017.json`` and its like, with
    ``train/_annotations.coco.json`` and its like as Roboflow writes it, or a single annotation file without splits, or
    the folder with it.
    With ``data.targets`` ``multi`` it has all of their classes, or none; else images without objects are left out, with
    a warning.

    Raises:
        FileNotFoundError: if the annotations or an image do not exist.
        ValueError: if a file is not in COCO's format, or an image has objects of several classes and may have one;
            names it.
    """
    root = Path(config.root).expanduser()
    files = _files(root)
    top = _folder(root) if root.is_file() else root
    listings = []
    for split, file in files.items():
        folder = _folder(file)
        named = folder / file.stem.rpartition("_")[2]  # train2017
        images = next((place for place in (named, folder / "images" / named.name) if place.is_dir()), folder)
        listings.append(Listing(_rows(file, split, config), images))
    return open_listings(listings, top, config)


def _folder(file: Path) -> Path:
    """Returns the folder of the data set that a file of annotations belongs to."""
    return file.parent.parent if file.parent.name == _ANNOTATIONS else file.parent


def _files(root: Path) -> dict[str, Path]:
    """Returns the annotation files by split; by ``""`` the file of everything."""
    if root.is_file():
        return {"": root}
    if not root.is_dir():
        raise not_found(root, "coco", "file or folder")
    found: dict[str, list[Path]] = defaultdict(list)
    for split, folders in split_folders(root).items():
        for alias in ALIASES[split]:
            found[split] += sorted((root / "annotations").glob(f"instances_{alias}[0-9]*.json"))
            found[split] += [place for place in [root / "annotations" / f"instances_{alias}.json"] if place.is_file()]
        found[split] += [folder / _ROBOFLOW for folder in folders if (folder / _ROBOFLOW).is_file()]
        if len(found[split]) > 1:
            raise ValueError(f"'{root}' has several annotations of {split}: {', '.join(map(str, found[split]))}")
    files = {split: paths[0] for split, paths in found.items() if paths}
    if not files and len(only := [*root.glob("*.json"), *(root / _ANNOTATIONS).glob("*.json")]) == 1:
        return {"": only[0]}  # as CVAT and Label Studio write them
    if "train" not in files:
        hint = other_kind(root, "coco")
        raise FileNotFoundError(
            f"'{root}' has no annotations/instances_train*.json or train/_annotations.coco.json{hint}"
        )
    return files


def _rows(file: Path, split: str, config: Data) -> list[Row]:
    try:
        content = json.loads(text_of(file, "COCO's annotations"))
        names = {each["id"]: str(each["name"]).strip() for each in content["categories"]}
        of_image: dict[Any, set[str]] = defaultdict(set)
        for each in content["annotations"]:
            of_image[each["image_id"]].add(names[each["category_id"]])
        listed = [(str(each["file_name"]), sorted(of_image[each["id"]])) for each in content["images"]]
    except (KeyError, TypeError, AttributeError, RecursionError, json.JSONDecodeError) as error:
        reason = f"lacks {error}" if isinstance(error, KeyError) else " ".join(str(error).split())
        raise ValueError(f"'{file}' is not in COCO's format of objects: {reason[:200]}") from error
    return labelled(listed, file, split, config)


def labelled(listed: list[tuple[str, list[str]]], file: Path, split: str, config: Data) -> list[Row]:
    """Makes rows of images with their classes; where each must have one, images without any are left out.

    Args:
        listed: Path and classes of each image.
        file: Where they come from.
        split: Their split.
        config: The data set.

    Raises:
        ValueError: if an image has several classes, where it may have one; names it.
    """
    kept = [(image, classes) for image, classes in listed if classes or config.targets == "multi"]
    if len(kept) < len(listed):
        first = next(image for image, classes in listed if not classes)
        count = len(listed) - len(kept)
        warnings.warn(f"'{file}': {count:,} images without objects are left out, such as '{first}'", stacklevel=2)
    return [classified(image, classes, file, split, config) for image, classes in kept]
