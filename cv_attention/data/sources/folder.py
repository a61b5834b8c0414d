"""Reads image folders: root/{train,val,test}/<class>/<image>."""

import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from cv_attention.config import Subset
from cv_attention.data.decoding.bit_depth import found_bits
from cv_attention.data.decoding.broken import find_broken, identity, warn
from cv_attention.data.decoding.decode import kind_of, read_bytes, read_image, shown
from cv_attention.data.guessing import not_found, other_kind
from cv_attention.data.sources.cache import CachedFiles, open_cache
from cv_attention.data.sources.decoded import DecodedFiles, decode_all
from cv_attention.data.sources.files import Files
from cv_attention.data.sources.images import Images, Storage
from cv_attention.data.sources.subset import choose_classes

EXTENSIONS = (
    *(".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".jpe", ".jfif", ".dib", ".ppm"),
    *(".pgm", ".pbm", ".pnm", ".jp2", ".avif", ".tga", ".ico"),
)
ALIASES = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}


def load(
    root: str,
    subset: Subset,
    cache: int | None = None,
    bits: int | None = None,
    *,
    skip: bool = False,
    alone: bool = False,
) -> tuple[list[str], dict[str, Images]]:
    """Reads class names and the images of `train`, `test` and, if it exists, `val`.

    With only two splits (`train` and `val` as in ImageNet, or `train` and `test`) the other one is the test
    split and validation is held out of train, so that nothing is ever chosen on the data that the result is
    reported on.

    Files without an image's extension and hidden files are passed over. Small images that all have one size
    are decoded here, once, and kept in memory (see `decoded.py`).

    Args:
        root: The folder.
        subset: The classes to use.
        cache: Decode larger images once, short side at most this many pixels (see `cache.py`); None decodes a file
            whenever it is used.
        bits: Range of images of more than 8 bits; None finds it in a sample of the training images.
        skip: Decode all images once and leave out those that are broken.
        alone: Accept training images alone: a folder train, or the folders of the classes themselves.

    Raises:
        FileNotFoundError: if the folder does not exist.
        ValueError: if a split is missing, a class is empty or has no training images, or the subset names
            unknown classes; names the path.
    """
    folders = _split_folders(root, alone)
    names = _class_names(folders["train"])
    for folder in folders.values():
        for name in _class_names(folder):
            if name not in names:
                raise ValueError(
                    f"'{folder / name}' is a class without training images: '{folders['train'] / name}' is missing"
                )
    chosen = choose_classes(names, subset)
    files = {split: _files(folder, chosen) for split, folder in folders.items()}
    if bits is None:
        bits = bits_of(files["train"][0])
    if skip:
        files = {split: whole(folders[split], *listed, bits) for split, listed in files.items()}
    return chosen, {split: opened(folders[split], *listed, cache=cache, bits=bits) for split, listed in files.items()}


def bits_of(files: Sequence[bytes]) -> int | None:
    """Determines the bit depth of files with more than 8 bits; see `found_bits`."""
    return found_bits(len(files), lambda index, most: read_bytes(os.fsdecode(files[index]), most))


def _split_folders(root: str, alone: bool) -> dict[str, Path]:
    base = Path(root).expanduser()
    if not base.is_dir():
        raise not_found(root, "folder")
    folder_of: dict[str, Path] = {}
    for split, present in split_folders(base).items():
        if len(present) > 1:
            raise ValueError(f"'{root}' has several {split} folders: {', '.join(p.name for p in present)}; keep one")
        if present:
            folder_of[split] = present[0]
    folder_of = folder_of or ({"train": base} if alone and subfolders(base) else {})
    if "train" not in folder_of or (len(folder_of) < 2 and not alone):
        folders = ", ".join(subfolders(base)[:8]) or "none"
        of_classes = "train" in folder_of or (not folder_of and subfolders(base))
        offer = "; to hold out test images of each class, set data.test_fraction, such as 0.2" if of_classes else ""
        offer = other_kind(root, "folder") or offer
        raise ValueError(
            f"'{root}' must contain the folders train and test, or train, val and test, "
            f"with a folder per class in each, got {folders}{offer}"
        )
    if "test" not in folder_of and "val" in folder_of:
        folder_of["test"] = folder_of.pop("val")
    return folder_of


def _class_names(folder: Path) -> list[str]:
    names = subfolders(folder)
    if not names:
        hint = other_kind(folder, "folder")
        raise ValueError(f"'{folder}' has no class folders; expected {folder.name}/<class>/<image>{hint}")
    return names


def split_folders(base: Path, aliases: Mapping[str, Sequence[str]] = ALIASES) -> dict[str, list[Path]]:
    """Returns the folders that are called like each split, in small or capital letters.

    Args:
        base: The folder that they lie in.
        aliases: Names of each split, in small letters.
    """
    by_name: dict[str, list[Path]] = {}
    for name in subfolders(base):
        by_name.setdefault(name.lower(), []).append(base / name)
    return {split: [path for name in names for path in by_name.get(name, [])] for split, names in aliases.items()}


def subfolders(folder: Path) -> list[str]:
    """Returns the sorted names of the folders in a folder, without hidden ones."""
    return sorted(name for name in os.listdir(folder) if not name.startswith(".") and os.path.isdir(folder / name))


def _files(folder: Path, names: list[str]) -> tuple[list[bytes], np.ndarray]:
    """Returns the image files of the chosen classes, and their labels."""
    files: list[bytes] = []
    labels: list[np.ndarray] = []
    for label, name in enumerate(names):
        if not (folder / name).is_dir():
            continue  # a class without test images is still learned
        of_class = image_files(folder / name)
        if not of_class:
            raise ValueError(f"class folder '{folder / name}' contains no images ({', '.join(EXTENSIONS[:6])}, ...)")
        files += of_class
        labels.append(np.full(len(of_class), label, np.int64))
    if not files:
        raise ValueError(f"'{folder}' has no images of the chosen classes {', '.join(names[:8])}")
    return files, np.concatenate(labels)


def whole(
    folder: Path, files: list[bytes], labels: np.ndarray, bits: int | None
) -> tuple[list[bytes], np.ndarray, tuple[str, ...]]:
    """Returns the intact files of a split, their labels, and the errors of the broken ones.

    Args:
        folder: The folder of the split.
        files: Encoded paths of its images.
        labels: Their labels, int64 (N,).
        bits: Range of images of more than 8 bits.

    Raises:
        ValueError: if all images of a class are broken.
    """
    store = folder.parent / ".cv_attention" / f"broken-{identity(files, bits)}.json"
    broken = find_broken(store, len(files), lambda index: read_image(os.fsdecode(files[index]), bits))
    kept = [index for index in range(len(files)) if index not in broken]
    if len(np.unique(labels[kept])) < len(np.unique(labels)) and labels.ndim == 1:
        raise ValueError(f"'{folder}' has a class whose images are all broken: {next(iter(broken.values()))}")
    return [files[index] for index in kept], labels[kept], warn(folder.name, broken, len(files))


def opened(
    folder: Path,
    files: list[bytes],
    labels: np.ndarray,
    left_out: tuple[str, ...] = (),
    *,
    cache: int | None,
    bits: int | None,
) -> Images:
    """Opens the files of a split: small images of one size are decoded into memory.

    Args:
        folder: The folder of the split; a cache is kept next to it.
        files: Encoded paths of its images.
        labels: Their labels, int64 (N,).
        left_out: The errors of broken images.
        cache: Short side of cached images; None caches none.
        bits: Range of images of more than 8 bits.
    """
    paths = np.array(files)
    storage: Storage = Files(paths, bits)
    if (pixels := decode_all(files, bits=bits)) is not None:
        storage = DecodedFiles(paths, bits, pixels)
    elif cache is not None:
        storage = CachedFiles(paths, bits, open_cache(folder.parent / ".cv_attention", files, cache, bits))
    return Images(labels, np.arange(len(files)), storage, left_out=left_out)


def image_files(folder: Path) -> list[bytes]:
    """Returns the sorted encoded paths of the image files in a folder and its subfolders.

    A warning reports what was left out; see `find_images`.
    """
    found, skipped = find_images(folder)
    if skipped:
        more = f" (and {len(skipped) - 1} more)" if len(skipped) > 1 else ""
        warnings.warn(f"left out: {skipped[0]}{more}", stacklevel=2)
    return found


def find_images(folder: Path) -> tuple[list[bytes], list[str]]:
    """Finds the image files in a folder and its subfolders.

    Links are followed, but each folder is read only once. Named pipes, sockets and devices are left out.

    Returns:
        The sorted encoded paths, and what was left out for which reason.
    """
    found: list[bytes] = []
    skipped: list[str] = []
    seen: set[tuple[int, int]] = set()
    above = _above(folder)
    todo = [os.fspath(folder)]
    while todo:
        where = todo.pop()
        try:
            status = os.stat(where)
            key = status.st_dev, status.st_ino
            if key in seen or key in above:
                skipped.append(f"'{where}' leads to a folder that has already been read")
                continue
            seen.add(key)
            entries = sorted(os.scandir(where), key=lambda entry: entry.name)
        except OSError as error:
            skipped.append(f"'{where}' cannot be read: {error.strerror or error}")
            continue
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if os.path.isdir(entry.path):
                todo.append(entry.path)
            elif os.path.splitext(entry.name)[1].lower() in EXTENSIONS:
                if os.path.isfile(entry.path) or not os.path.exists(entry.path):  # a broken link fails when it is read
                    found.append(os.fsencode(entry.path))
                else:
                    skipped.append(f"'{entry.path}' is {kind_of(os.stat(entry.path).st_mode)}")
    return sorted(found), [shown(reason) for reason in skipped]


def _above(folder: Path) -> set[tuple[int, int]]:
    """Returns the identities of the parent folders: a link to them would include the other classes."""
    above = (os.stat(parent) for parent in Path(os.path.realpath(folder)).parents)
    return {(status.st_dev, status.st_ino) for status in above}
