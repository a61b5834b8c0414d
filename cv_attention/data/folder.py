"""Any folder of images: root/{train,val,test}/<class>/<image>."""

import os
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np

from cv_attention.config import Subset
from cv_attention.data.cache import open_cache
from cv_attention.data.decode import kind_of
from cv_attention.data.images import Images
from cv_attention.data.memory import decode_all
from cv_attention.data.subset import choose_classes

EXTENSIONS = (
    *(".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".jpe", ".jfif", ".dib", ".ppm"),
    *(".pgm", ".pbm", ".pnm", ".jp2", ".avif", ".tga", ".ico"),
)
ALIASES = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}


def load(root: str, subset: Subset, cache: int | None = None) -> tuple[list[str], dict[str, Images]]:
    """Reads the folders: class names, and the images of `train`, `test` and, where there is one, `val`.

    With only two splits (`train` and `val` as in ImageNet, or `train` and `test`) the other one is the test
    split and validation is held out of train, so that nothing is ever chosen on the data that the result is
    reported on.

    Files without an image's extension and hidden files are passed over. Small images that all have one size
    are decoded here, once, and kept in memory (see `memory.py`).

    Args:
        root: The folder.
        subset: Which classes are used.
        cache: Decode larger images once, short side at most this many pixels (see `cache.py`); None decodes a file
            whenever it is used.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if a split is missing, a class is empty or has no training images, or the subset names
            unknown classes; names the path.
    """
    folders = _split_folders(root)
    names = _class_names(folders["train"])
    for folder in folders.values():
        for name in _class_names(folder):
            if name not in names:
                raise ValueError(
                    f"'{folder / name}' is a class without training images: '{folders['train'] / name}' is missing"
                )
    chosen = choose_classes(names, subset)
    return chosen, {split: _images(folder, chosen, cache) for split, folder in folders.items()}


def _split_folders(root: str) -> dict[str, Path]:
    base = Path(root).expanduser()
    if not base.is_dir():
        raise FileNotFoundError(f"data.root: no such folder: '{root}'")
    found: dict[str, Path] = {}
    for split, aliases in ALIASES.items():
        present = [base / alias for alias in aliases if (base / alias).is_dir()]
        if len(present) > 1:
            raise ValueError(f"'{root}' has several {split} folders: {', '.join(p.name for p in present)}; keep one")
        if present:
            found[split] = present[0]
    if "train" not in found or len(found) < 2:
        folders = ", ".join(subfolders(base)[:8]) or "none"
        raise ValueError(
            f"'{root}' must hold the folders train and test, or train, val and test, "
            f"with a folder per class in each; it holds {folders}"
        )
    if "test" not in found:
        found["test"] = found.pop("val")
    return found


def _class_names(folder: Path) -> list[str]:
    names = subfolders(folder)
    if not names:
        raise ValueError(f"'{folder}' has no class folders; expected {folder.name}/<class>/<image>")
    return names


def subfolders(folder: Path) -> list[str]:
    """Returns the names of the folders in a folder, sorted; hidden ones are passed over."""
    return sorted(e.name for e in os.scandir(folder) if e.is_dir() and not e.name.startswith("."))


def _images(folder: Path, names: list[str], cache: int | None) -> Images:
    files: list[bytes] = []
    labels: list[np.ndarray] = []
    for label, name in enumerate(names):
        if not (folder / name).is_dir():
            continue  # a class without test images: it is learnt, and counts where it occurs
        found = image_files(folder / name)
        if not found:
            raise ValueError(f"class folder '{folder / name}' holds no images ({', '.join(EXTENSIONS[:6])}, ...)")
        files += found
        labels.append(np.full(len(found), label, np.int64))
    if not files:
        raise ValueError(f"'{folder}' has images of none of the chosen classes {', '.join(names[:8])}")
    images = Images(np.concatenate(labels), np.arange(len(files)), decode_all(files), np.array(files))
    if images.pixels is None and cache is not None:
        return replace(images, cache=open_cache(folder.parent / ".cv_attention", files, cache))
    return images


def image_files(folder: Path) -> list[bytes]:
    """Returns the encoded paths of the image files in a folder and in the folders below it, sorted.

    Links are followed, but each folder is read once, whatever links lead to it. Named pipes, sockets and devices are
    left out. A warning counts and names what was left out.
    """
    found: list[bytes] = []
    skipped: list[str] = []
    seen: set[tuple[int, int]] = set()
    todo = [os.fspath(folder)]
    while todo:
        where = todo.pop()
        status = os.stat(where)
        if (status.st_dev, status.st_ino) in seen:
            skipped.append(f"'{where}' leads to a folder that has been read already")
            continue
        seen.add((status.st_dev, status.st_ino))
        for entry in os.scandir(where):
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                todo.append(entry.path)
            elif os.path.splitext(entry.name)[1].lower() in EXTENSIONS:
                if entry.is_file() or not os.path.exists(entry.path):  # a broken link fails where it is read
                    found.append(os.fsencode(entry.path))
                else:
                    skipped.append(f"'{entry.path}' is {kind_of(os.stat(entry.path).st_mode)}")
    if skipped:
        more = f" (and {len(skipped) - 1} more)" if len(skipped) > 1 else ""
        warnings.warn(f"left out: {skipped[0]}{more}", stacklevel=2)
    return sorted(found)
