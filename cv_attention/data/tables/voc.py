"""Reads the classes of images from annotations of objects in the format of Pascal VOC."""

from pathlib import Path
from xml.etree import ElementTree

from cv_attention.config import Data
from cv_attention.data.decoding.decode import read_bytes
from cv_attention.data.guessing import not_found, other_kind
from cv_attention.data.sources.folder import EXTENSIONS
from cv_attention.data.sources.images import Images
from cv_attention.data.tables.coco import labelled
from cv_attention.data.tables.rows import Listing, Row, open_listings
from cv_attention.data.tables.sheets import lines_of

_IMAGES = ("jpegimages", "images", "image")  # folders, in small letters
_SPLITS = ("train", "val", "test")


def load(config: Data) -> tuple[list[str], dict[str, Images]]:
    """Reads class names and the images of each split: the class of an image is that of its annotated objects.

    ``data.root`` is the folder with ``Annotations``, ``JPEGImages`` or ``images``, and ``ImageSets/Main``, or one above
    it (``VOCdevkit/VOC2012``), or a folder with the annotation of each image next to it. Splits are ``train.txt``,
    ``val.txt`` and ``test.txt`` in ``ImageSets/Main``; without these lists all images are training images. Objects that
    are marked as difficult do not count. Images without objects are left out with a warning.

    Raises:
        FileNotFoundError: if the folders, an annotation or an image do not exist.
        ValueError: if an annotation is damaged, or an image has objects of several classes; names it.
    """
    root, annotations, photographs = _places(Path(config.root).expanduser())
    lists = {split: root / "ImageSets/Main" / f"{split}.txt" for split in _SPLITS}
    present = {split: file for split, file in lists.items() if file.is_file()}
    if present:
        names = {split: [line.split()[0] for _, line in lines_of(file)] for split, file in present.items()}
    else:
        names = {"train": sorted(file.stem for file in annotations.glob("*.xml"))}
    images = {path.stem: path.name for path in photographs.iterdir() if path.suffix.lower() in EXTENSIONS}
    rows: list[Row] = []
    for split, own in names.items():
        listed = [(images.get(name, f"{name}.jpg"), _classes(annotations, name)) for name in own]
        rows += labelled(listed, present.get(split, annotations), split, config)
    return open_listings([Listing(rows, photographs)], root, config)


def _places(given: Path) -> tuple[Path, Path, Path]:
    """Returns the folder of the data set, that of its annotations, and that of its images."""
    if not given.is_dir():
        raise not_found(given, "voc")
    found = [_inside(place) for place in (given, *sorted(given.glob("VOC*")), *sorted(given.glob("VOCdevkit/VOC*")))]
    places = [place for place in found if place is not None]
    if not places and next(given.glob("*.xml"), None):  # as LabelImg writes them
        return given, given, given
    if not places:
        hint = other_kind(given, "voc")
        raise FileNotFoundError(f"data.root: '{given}' has no folders Annotations and JPEGImages{hint}")
    if len(places) > 1:
        names = ", ".join(place[0].name for place in places)
        raise ValueError(f"'{given}' has several data sets: {names}; name one of them")
    return places[0]


def _inside(root: Path) -> tuple[Path, Path, Path] | None:
    folders = {path.name.lower(): path for path in root.iterdir()} if root.is_dir() else {}
    images = next((folders[name] for name in _IMAGES if name in folders), None)
    annotations = folders.get("annotations")
    if annotations is None or images is None or not next(annotations.glob("*.xml"), None):
        return None
    return root, annotations, images


def _classes(annotations: Path, name: str) -> list[str]:
    if Path(name).name != name:
        raise ValueError(f"'{annotations.parent}/ImageSets/Main': {name!r} is not the name of an image")
    file = annotations / f"{name}.xml"
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
