"""Lists the texts of label files with the images that they belong to, and opens the images."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from cv_attention.config import Text
from cv_attention.data.decoding.bit_depth import found_bits
from cv_attention.data.decoding.broken import find_broken, identity, warn
from cv_attention.data.decoding.decode import read_image
from cv_attention.data.sources.cache import CachedFiles, open_cache
from cv_attention.data.sources.decoded import DecodedFiles, decode_all
from cv_attention.data.sources.files import Files
from cv_attention.data.sources.folder import bits_of
from cv_attention.data.tables.entries import Entry, brief
from cv_attention.data.tables.image_paths import check_presence, image_paths
from cv_attention.data.texts.label_files.labels import check_text
from cv_attention.data.texts.label_files.table import Archive, Found
from cv_attention.data.texts.text_images import TextImages

CACHE = ".cv_attention"  # the folder in that of the data set for what is computed once


@dataclass(frozen=True)
class Listed:
    """Texts and the files or the archive of their images.

    Attributes:
        entries: The texts.
        files: Encoded path of each image, once; empty for an archive.
        rows: int64 (N,), the position in `files`, or the row in `archive`, of each text's image.
        archive: The images that are in no files of their own.
        folders: The folders of the images, and the number of images in each, with or without a text; empty if they
            were not listed.
        left_out: What is wrong with each broken image that was left out.
    """

    entries: list[Entry]
    files: list[bytes]
    rows: np.ndarray
    archive: Archive | None = None
    folders: dict[str, int] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()


def list_texts(found: Found, config: Text, cache: Path, *, missing: bool = False) -> Listed:
    """Reads label files.

    Args:
        found: The files.
        config: The settings of the texts.
        cache: Folder of archives' indices.
        missing: Accept images that do not exist.

    Raises:
        FileNotFoundError: if an image does not exist.
        ValueError: if a file is invalid, or an image is there twice; names file and line.
    """
    if found.format.open is not None:
        entries, archive = found.format.open(found.files, cache)
        return Listed(_checked(entries, config), [], np.arange(len(entries)), archive)
    entries, paths = _read(found)
    entries = _checked(entries, config)
    folders = {} if missing else check_presence(entries, paths)
    numbers: dict[str, int] = {}
    rows = np.array([numbers.setdefault(path, len(numbers)) for path in paths], np.int64)
    if len(numbers) < len(paths) and not found.format.repeated:
        _refuse_repeated(entries, rows)
    return Listed(entries, [os.fsencode(path) for path in numbers], rows, folders=folders)


def _read(found: Found) -> tuple[list[Entry], list[str]]:
    """Returns the texts of label files and the paths of their images."""
    assert found.format.read is not None
    entries: list[Entry] = []
    paths: list[str] = []
    for file in found.files:
        of_file = list(found.format.read(file))
        if not of_file:
            raise ValueError(f"'{file}' has no images")
        folder = file if file.is_dir() else file.parent
        paths += image_paths(of_file, folder, found.root, found.format.folders)
        entries += of_file
    return entries, paths


def _checked(entries: list[Entry], config: Text) -> list[Entry]:
    for entry in entries:
        check_text(entry)
    return [entry._replace(text=entry.text.lower()) for entry in entries] if config.lower else entries


def find_bits(listed: Listed) -> int | None:
    """Determines the bit depth of images with more than 8 bits; see `found_bits`."""
    if listed.archive is None:
        return bits_of(listed.files)
    return found_bits(len(listed.rows), listed.archive.content)


def without_broken(listed: Listed, split: str, cache: Path, bits: int | None) -> Listed:
    """Decodes every image once and leaves out the broken ones.

    Args:
        listed: The texts.
        split: Which images they are, for the warning.
        cache: Folder of the result.
        bits: Range of images of more than 8 bits.

    Raises:
        ValueError: if all are broken.
    """
    files, archive = listed.files, listed.archive
    if archive is None:
        count, store = len(files), identity(files, bits)
        broken = find_broken(
            cache / f"broken-{store}.json", count, lambda index: read_image(os.fsdecode(files[index]), bits)
        )
    else:
        archive.bits, count = bits, len(listed.rows)
        digest = hashlib.sha256("\0".join(archive.version(row) for row in range(count)).encode())
        broken = find_broken(cache / f"broken-{digest.hexdigest()[:16]}.json", count, archive.read)
    if len(broken) == count:
        raise ValueError(f"all {split} images are broken: {broken[0]}")
    if not broken:
        return listed
    kept = np.array([index not in broken for index in range(count)])
    places = np.flatnonzero(kept[listed.rows])
    rows = listed.rows[places]
    return replace(
        listed,
        entries=[listed.entries[place] for place in places.tolist()],
        files=[file for file, whole in zip(files, kept, strict=False) if whole],
        rows=(np.cumsum(kept) - 1)[rows] if archive is None else rows,
        left_out=warn(split, broken, count),
    )


def open_images(listed: Listed, root: Path, cache: int | None, bits: int | None, *, boxes: bool) -> TextImages:
    """Opens the images: in memory where they are small and have one size, else as files or from a cache.

    Args:
        listed: The texts.
        root: Folder of the data set, from which the names of the images start.
        cache: Short side in pixels that images are decoded to once; None decodes a file whenever it is used.
        bits: Range of images of more than 8 bits.
        boxes: Whether the boxes are those of the texts' units.

    Raises:
        ValueError: if an image is broken, or boxes and a cache do not fit together.
    """
    found = _boxes(listed.entries) if boxes else None
    texts = [entry.text for entry in listed.entries]
    if listed.archive is not None:
        if cache is not None:
            raise ValueError("data.cache works only with image files; write the archives with smaller images instead")
        listed.archive.bits = bits
        return TextImages(texts, listed.rows, listed.archive, found, listed.left_out)
    paths = np.array(listed.files)
    storage = Files(paths, bits)
    if (pixels := decode_all(listed.files, bits=bits)) is not None:
        storage = DecodedFiles(paths, bits, pixels)
    elif cache is not None:
        if found is not None:
            raise ValueError("data.cache changes the size of images, but these have boxes; set it to null")
        storage = CachedFiles(paths, bits, open_cache(root / CACHE, listed.files, cache, bits))
    storage.root = os.path.abspath(root)
    return TextImages(texts, listed.rows, storage, found, listed.left_out)


def _boxes(entries: Sequence[Entry]) -> np.ndarray | None:
    """Returns the boxes of all characters, float32 (N, L, 4), NaN where they are unknown; None if all are."""
    fitting = [
        entry.boxes if entry.boxes is not None and len(entry.boxes) == len(entry.text) else None for entry in entries
    ]
    if all(each is None for each in fitting):
        return None
    boxes = np.full((len(entries), max(len(entry.text) for entry in entries), 4), np.nan, np.float32)
    for row, each in zip(boxes, fitting, strict=True):
        if each is not None:
            row[: len(each)] = each
    return boxes


def _refuse_repeated(entries: Sequence[Entry], rows: np.ndarray) -> None:
    seen: dict[int, int] = {}
    for place, row in enumerate(rows.tolist()):
        if row in seen:
            image, first = brief(entries[place].image), entries[seen[row]].place
            raise ValueError(
                f"{entries[place].place}: '{image}' has a text already, in {first}; only captions.txt may have several "
                "texts per image"
            )
        seen[row] = place
