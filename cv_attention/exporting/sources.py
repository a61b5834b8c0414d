"""Lists the images to explain: files, folders, tar archives, or a split of the run's data set."""

import glob
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from cv_attention.data import read_image
from cv_attention.data.sources.archives import members
from cv_attention.data.sources.files import file_version
from cv_attention.data.sources.folder import EXTENSIONS, image_files
from cv_attention.data.sources.image_set import ImageSet
from cv_attention.exporting.names import printable


@dataclass(frozen=True, slots=True)
class Item:
    """Describes one image.

    Attributes:
        title: Its name in the manifest.
        path: Its path relative to its source, without suffix; output files are named after it.
        read: Decodes the image to uint8 (H, W, 3) RGB; raises ValueError or OSError on failure.
        label: Its class, if known.
        box: x0, y0, x1, y1 of its object in pixels, if known.
        version: Changes with the image: size and time of its file, and its place in an archive.
    """

    title: str
    path: str
    read: Callable[[], np.ndarray]
    label: int | None = None
    box: np.ndarray | None = None
    version: str = ""


def find_items(sources: Sequence[Path], out: Path, classes: int, bits: int | None = None) -> list[Item]:
    """Lists the images of `sources`, in their order and sorted within a folder.

    Args:
        sources: Image files, WebDataset tar archives, folders that are searched for both, and globs such as
            ``photos/*.jpg``.
        out: Output folder; files in it are not used as sources.
        classes: Number of classes; labels in archives outside this range count as unknown.
        bits: Bit depth of images with more than 8 bits; see `read_image`.

    Raises:
        FileNotFoundError: if a source does not exist.
        ValueError: if they contain no images.
    """
    named = [path for source in sources for path in expanded(source)]
    items = [item for source in named for item in _of_source(source, out.resolve(), classes, bits)]
    if not items:
        searched = ", ".join(str(source) for source in sources)
        raise ValueError(f"no images in {searched}; expected files ending in {', '.join(EXTENSIONS)} or .tar")
    return items


def expanded(source: Path) -> list[Path]:
    """Returns the files and folders that a glob matches, sorted; a path that exists stands for itself.

    Args:
        source: A path, or a glob in which ``**`` stands for any number of folders.

    Raises:
        FileNotFoundError: if it is a glob that matches nothing.
    """
    if source.exists() or not glob.has_magic(str(source)):
        return [source]
    found = sorted(glob.glob(str(source), recursive=True))
    if not found:
        raise FileNotFoundError(f"no file or folder matches {source}")
    return [Path(path) for path in found]


def split_items(split: ImageSet) -> list[Item]:
    """Lists the images of a data module's split, with labels and boxes."""
    images, items = split.images, []
    labels = images.labels.tolist() if images.labels.ndim == 1 else [None] * len(images)
    for index, label in enumerate(labels):
        path = images.path(index)
        title = f"{split.name}/{index}" if path is None else printable(path)
        stem = split.name if path is None else os.path.join(*Path(path).with_suffix("").parts[-2:])
        box = None if images.boxes is None else images.boxes[index]
        items.append(Item(title, stem, partial(images.read, index), label, box, images.version(index)))
    return items


def digest(items: Sequence[Item]) -> str:
    """Returns a digest of all titles in order, to tell whether the images are the same as before."""
    found = hashlib.sha256()
    for item in items:
        found.update(item.title.encode() + b"\n")
    return found.hexdigest()


def fingerprint(item: Item) -> str:
    """Returns a digest of an image's name, class, box and file version."""
    box = None if item.box is None else item.box.tolist()
    return hashlib.sha256(json.dumps([item.title, item.path, item.label, box, item.version]).encode()).hexdigest()[:32]


def _of_source(source: Path, out: Path, classes: int, bits: int | None) -> Iterator[Item]:
    if not source.exists():
        raise FileNotFoundError(f"{source} does not exist; give image files, folders of images or tar archives")
    if not source.is_dir():
        yield from _of_file(source, source.name, classes, bits)
        return
    archives = [os.fsencode(path) for path in source.rglob("*.tar")]
    for encoded in sorted([*image_files(source), *archives]):
        path = Path(os.fsdecode(encoded))
        if out not in path.parent.resolve().parents and out != path.parent.resolve():
            yield from _of_file(path, str(path.relative_to(source)), classes, bits)


def _of_file(path: Path, relative: str, classes: int, bits: int | None) -> Iterator[Item]:
    version = file_version(path)
    if path.name.lower().endswith((".tar", ".tar.gz", ".tgz")):
        for member in members(path, EXTENSIONS):
            label = member.label if member.label is not None and 0 <= member.label < classes else None
            yield Item(
                printable(f"{path}/{member.name}"),
                os.path.splitext(member.name)[0],
                partial(member.read, bits),
                label,
                version=f"{version} {member.offset} {member.size}",
            )
    else:
        stem = os.path.splitext(relative)[0]
        yield Item(printable(str(path)), stem, partial(read_image, path, bits), version=version)
