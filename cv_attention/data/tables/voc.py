"""Reads the classes of images from annotations of objects in the format of Pascal VOC."""

from pathlib import Path
from xml.etree import ElementTree

from cv_attention.config import Data
from cv_attention.data.decoding.decode import read_bytes
from cv_attention.data.sources.images import Images
from cv_attention.data.tables.coco import labelled
from cv_attention.data.tables.rows import Listing, Row, open_listings
from cv_attention.data.tables.sheets import lines_of

_SPLITS = ("train", "val", "test")


def load(config: Data) -> tuple[list[str], dict[str, Images]]:
    """Reads class names and the images of each split: the class of an image is that of its annotated objects.

    ``data.root`` is the folder with ``Annotations``, ``JPEGImages`` and ``ImageSets/Main``, or one above it
    (``VOCdevkit/VOC2012``). Splits are ``train.txt``, ``val.txt`` and ``test.txt`` in ``ImageSets/Main``; without these
    lists all images are training images. Objects that are marked as difficult do not count. Images without objects are
    left out with a warning.

    Raises:
        FileNotFoundError: if the folders, an annotation or an image do not exist.
        ValueError: if an annotation is damaged, or an image has objects of several classes; names it.
    """
    root = _root(Path(config.root).expanduser())
    lists = {split: root / "ImageSets/Main" / f"{split}.txt" for split in _SPLITS}
    present = {split: file for split, file in lists.items() if file.is_file()}
    if present:
        names = {split: [line.split()[0] for _, line in lines_of(file)] for split, file in present.items()}
    else:
        names = {"train": sorted(file.stem for file in (root / "Annotations").glob("*.xml"))}
    images = {path.stem: path.name for path in (root / "JPEGImages").iterdir()}
    rows: list[Row] = []
    for split, own in names.items():
        listed = [(images.get(name, f"{name}.jpg"), _classes(root, name)) for name in own]
        rows += labelled(listed, present.get(split, root / "Annotations"), split, config)
    return open_listings([Listing(rows, root / "JPEGImages")], root, config)


def _root(given: Path) -> Path:
    found = [given, *sorted(given.glob("VOC*")), *sorted(given.glob("VOCdevkit/VOC*"))]
    found = [place for place in found if (place / "Annotations").is_dir() and (place / "JPEGImages").is_dir()]
    if not found:
        raise FileNotFoundError(f"data.root: '{given}' has no folders Annotations and JPEGImages")
    if len(found) > 1:
        names = ", ".join(place.name for place in found)
        raise ValueError(f"'{given}' has several data sets: {names}; name one of them")
    return found[0]


def _classes(root: Path, name: str) -> list[str]:
    if Path(name).name != name:
        raise ValueError(f"'{root}/ImageSets/Main': {name!r} is not the name of an image")
    file = root / "Annotations" / f"{name}.xml"
    content = read_bytes(file)
    if b"<!ENTITY" in content or b"<!DOCTYPE" in content:  # entities can stand for gigabytes
        raise ValueError(f"'{file}' declares entities, which annotations do not need")
    try:
        objects = list(ElementTree.fromstring(content).iter("object"))
    except (ElementTree.ParseError, ValueError) as error:
        raise ValueError(f"'{file}' is not a valid annotation: {error}") from error
    kept = [each for each in objects if (each.findtext("difficult") or "0").strip() != "1"]
    classes = {(each.findtext("name") or "").strip() for each in kept}
    if "" in classes:
        raise ValueError(f"'{file}' has an object without a name")
    return sorted(classes)
