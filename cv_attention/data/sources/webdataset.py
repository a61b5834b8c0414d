"""Reads tar shards as WebDataset writes them: root/{train,val,test}-*.tar or root/{train,val,test}/*.tar.

The headers are read once and stored as an index; after that any image can be read at its offset. So shards are sampled
exactly like a folder: every process gets its part of one permutation, each image counts once in an evaluation, and no
process waits for another at the end of an epoch, which streams of shards cannot guarantee.
"""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cv_attention.config import Subset
from cv_attention.data.decoding.bit_depth import found_bits
from cv_attention.data.decoding.broken import find_broken, warn
from cv_attention.data.decoding.decode import MAX_BYTES, decode_image, read_bytes, shown
from cv_attention.data.sources.archives import members, read_member
from cv_attention.data.sources.folder import EXTENSIONS
from cv_attention.data.sources.images import Images
from cv_attention.data.sources.subset import choose_classes

_FORMAT = 1
# Larger numbers are damaged or not classes; a head for them would not fit into memory.
_MAX_LABEL = 1_000_000
# Without a list of names, the labels of a small data set must look like classes counted from 0.
_UNNAMED = 10_000
_SPLITS = ("train", "val", "test")


class Shards:
    """Reads images from tar archives at their offsets.

    Args:
        archives: The tar files.
        index: The file that `open_shards` wrote: `archive`, `offset`, `size`, `label` and `name` of each image.
            ValueError if it holds anything else.

    Attributes:
        labels: int64 (N,), class of each image, by its ``.cls``.
    """

    def __init__(self, archives: Sequence[Path], index: Path):
        self.archives, self.path = list(archives), index
        self._open: dict[tuple[int, int], int] = {}  # files are opened once in each process
        with open(index, "rb") as file, np.load(file) as stored:  # numpy leaves damaged files open
            self._archive, self._offset, self._size = (stored[name] for name in ("archive", "offset", "size"))
            self.labels, self._name = stored["label"], stored["name"]
        numbers = (self._archive, self._offset, self._size, self.labels)
        if not all(
            values.dtype.kind == "i" and values.shape == self._name.shape == (len(self._name),) for values in numbers
        ):
            raise ValueError(f"{index} is damaged")
        least = min(int(values.min(initial=0)) for values in numbers)
        if least < 0 or self._archive.max(initial=0) >= len(self.archives) or self.labels.max(initial=0) > _MAX_LABEL:
            raise ValueError(f"{index} is damaged")

    def __reduce__(self) -> tuple[type, tuple[list[Path], Path]]:
        return Shards, (self.archives, self.path)  # a worker opens the files itself

    def __del__(self) -> None:
        for (process, _), file in self._open.items():
            if process == os.getpid():
                os.close(file)

    def read(self, row: int, bits: int | None = None) -> np.ndarray:
        """Returns one image, uint8 (H, W, 3) RGB; `bits` as for `read_image`.

        Raises:
            ImageError: if it is damaged, or its archive has changed.
        """
        return decode_image(self.content(row), shown(self.describe(row)), bits)

    def content(self, row: int, most: int = MAX_BYTES) -> bytes:
        """Returns at most this many bytes of one image's file. Raises like `read`."""
        key = (os.getpid(), int(self._archive[row]))
        if key not in self._open:
            self._open[key] = os.open(self.archives[key[1]], os.O_RDONLY)
        return read_member(
            self._open[key], int(self._offset[row]), int(self._size[row]), shown(self.describe(row)), most
        )

    def place(self, row: int) -> tuple[Path, int, int]:
        """Returns the archive of one image, the offset of its content there, and its size in bytes."""
        return self.archives[int(self._archive[row])], int(self._offset[row]), int(self._size[row])

    def name(self, row: int) -> str:
        """Returns the image's name in its archive."""
        return os.fsdecode(self._name[row])

    def describe(self, row: int) -> str:
        """Returns archive and name."""
        return f"{self.archives[int(self._archive[row])]}/{self.name(row)}"


def load(
    root: str, subset: Subset, bits: int | None = None, *, skip: bool = False
) -> tuple[list[str], dict[str, Images]]:
    """Reads the shards' index: class names, and the images of `train`, `test` and, if it exists, `val`.

    Each image is ``<key>.jpg`` (or has another image extension) with its class, a number from 0, in ``<key>.cls``.
    ``root/classes.txt`` names the classes, one per line; without it they are named by their numbers. With only two
    splits the other one is the test split, as for folders.

    Args:
        root: The folder.
        subset: The classes to use.
        bits: Bit depth of images with more than 8 bits; None determines it from a sample of the training images.
        skip: Decodes all images once and leaves out broken ones.

    Raises:
        FileNotFoundError: if the folder does not exist.
        ValueError: if a split is missing, an archive is compressed or damaged, an image has no class or a class no
            name; names the place.
    """
    base = Path(root).expanduser()
    if not base.is_dir():
        raise FileNotFoundError(f"data.root: folder not found: '{root}'")
    found = {split: sorted([*base.glob(f"{split}-*.tar"), *base.glob(f"{split}/*.tar")]) for split in _SPLITS}
    found = {split: archives for split, archives in found.items() if archives}
    if "train" not in found or len(found) < 2:
        there = ", ".join(sorted(path.name for path in base.iterdir())[:8]) or "nothing"
        raise ValueError(
            f"'{root}' must contain train-*.tar and test-*.tar, or train-*.tar, val-*.tar and test-*.tar, got {there}"
        )
    if "test" not in found:
        found["test"] = found.pop("val")
    splits = {split: open_shards(base / ".cv_attention", archives) for split, archives in found.items()}
    names = _class_names(base, splits)
    chosen = choose_classes(names, subset)
    position = np.array([chosen.index(name) if name in chosen else -1 for name in names])
    rows = {split: np.flatnonzero(position[shards.labels] >= 0) for split, shards in splits.items()}
    for split, chosen_rows in rows.items():
        if not len(chosen_rows):
            raise ValueError(f"'{found[split][0].parent}' has {split} images, but of none of the chosen classes")
    if bits is None:
        train, used = splits["train"], rows["train"]
        bits = found_bits(len(used), lambda index, most: train.content(int(used[index]), most))
    images = {}
    for split, shards in splits.items():
        kept, left_out = _whole(split, shards, rows[split], bits) if skip else (rows[split], ())
        images[split] = Images(position[shards.labels[kept]], kept, shards=shards, bits=bits, left_out=left_out)
    return chosen, images


def _whole(split: str, shards: Shards, rows: np.ndarray, bits: int | None) -> tuple[np.ndarray, tuple[str, ...]]:
    """Returns the rows of intact images, and the errors of the others."""
    digest = hashlib.sha256(rows.tobytes()).hexdigest()[:8]
    store = shards.path.with_name(f"{shards.path.stem}-{digest}-{bits}-broken.json")
    broken = find_broken(store, len(rows), lambda index: shards.read(int(rows[index]), bits))
    kept = np.array([row for index, row in enumerate(rows) if index not in broken], np.int64)
    if len(np.unique(shards.labels[kept])) < len(np.unique(shards.labels[rows])):
        raise ValueError(
            f"'{shards.archives[0].parent}' has a class whose {split} images are all broken: "
            f"{next(iter(broken.values()))}"
        )
    return kept, warn(split, broken, len(rows))


def open_shards(folder: Path, archives: Sequence[Path]) -> Shards:
    """Opens the index of these archives; builds it if it is missing or damaged, or if an archive has changed.

    Args:
        folder: Folder of the index; created if necessary.
        archives: The tar files.

    Raises:
        ValueError: if an archive cannot be used, or the index cannot be written.
    """
    from filelock import FileLock

    digest = hashlib.sha256(b"%d" % _FORMAT)
    for path in archives:
        status = path.stat()
        digest.update(b"\0".join([os.fsencode(path.name), b"%d %d" % (status.st_size, status.st_mtime_ns)]))
    index = folder / f"shards-{digest.hexdigest()[:16]}.npz"
    shards = _read(archives, index)
    if shards is None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(index.with_suffix(".lock")):  # built by one process per machine
                if _read(archives, index) is None:
                    _make(index, archives)
        except OSError as error:
            raise ValueError(f"data.root: '{folder}' cannot be written: {error.strerror or error}") from error
        shards = Shards(archives, index)
    return shards


def _read(archives: Sequence[Path], index: Path) -> Shards | None:
    """Opens the index if it exists and is intact."""
    if not index.is_file():
        return None
    try:
        return Shards(archives, index)
    except Exception:  # whatever a damaged zip archive raises: numpy, zipfile and zlib use different errors
        return None


def _make(index: Path, archives: Sequence[Path]) -> None:
    from rich.progress import track

    archive, offset, size, label, name = [], [], [], [], []
    for number, path in enumerate(track(archives, "reading the shards' headers once", transient=True)):
        for member in members(path, EXTENSIONS, distinct=True):
            place = shown(f"{path}/{member.name}")
            if not member.size:
                raise ValueError(f"{path} is damaged: {shown(member.name)}")
            if member.label is None:
                said = f"the class '{member.stated}'" if member.stated else "no class"
                raise ValueError(f"{place} has {said}; expected a number in <key>.cls")
            if member.label > _MAX_LABEL:
                raise ValueError(f"{place} has the class {member.label}; the maximum is {_MAX_LABEL}")
            archive.append(number)
            offset.append(member.offset)
            size.append(member.size)
            label.append(member.label)
            name.append(os.fsencode(member.name))
    if not name:
        raise ValueError(f"{archives[0]} and the other shards contain no images ({', '.join(EXTENSIONS[:6])}, ...)")
    partial = index.with_suffix(".partial")
    try:
        with open(partial, "wb") as file:
            np.savez(
                file,
                archive=np.array(archive, np.int32),
                offset=np.array(offset, np.int64),
                size=np.array(size, np.int64),
                label=np.array(label, np.int64),
                name=np.array(name),
            )
        partial.replace(index)
    finally:
        partial.unlink(missing_ok=True)


def _class_names(base: Path, splits: dict[str, Shards]) -> list[str]:
    count = 1 + max(int(shards.labels.max()) for shards in splits.values())
    listed = base / "classes.txt"
    if not listed.is_file():
        images = sum(len(shards.labels) for shards in splits.values())
        if count > max(_UNNAMED, images):
            raise ValueError(
                f"'{base}' has {images} images and labels up to {count - 1}; classes are counted from 0. If this is "
                f"right, name all {count} classes in '{listed}', one per line"
            )
        return [str(number) for number in range(count)]
    names = [line.strip() for line in _text(listed).splitlines() if line.strip()]
    if len(names) < count:
        raise ValueError(f"'{listed}' names {len(names)} classes, but the shards have labels up to {count - 1}")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"'{listed}' names a class twice: {twice}")
    return names


def _text(file: Path) -> str:
    try:
        return read_bytes(file).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"'{file}' is not UTF-8: byte {error.start}; save it as UTF-8") from error
