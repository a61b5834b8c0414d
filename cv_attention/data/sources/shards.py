"""Stores images in tar archives that are read at random places, by an index of the archives' headers."""

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from cv_attention.data.decoding.decode import MAX_BYTES, decode_image, shown
from cv_attention.data.sources.archives import Member, members, read_member
from cv_attention.data.sources.files import file_version
from cv_attention.data.sources.folder import EXTENSIONS
from cv_attention.data.sources.images import Storage
from cv_attention.rundir.files import replacing

_FORMAT = 2
# Larger numbers are damaged or something else than classes; a head for them would not fit into memory.
MAX_LABEL = 1_000_000
FIELDS = ("label", "cls", "class", "class_name", "category", "target")  # of JSON, the class as people call it
_NUMBER = re.compile(r"[-+]?[\d.,]+(e[-+]?\d+)?", re.IGNORECASE)  # a class that is a number, but none from 0


class Shards:
    """Images in tar archives, read at their places.

    Args:
        archives: The tar files.
        index: The file that `open_shards` wrote: `archive`, `offset`, `size`, `label` and `name` of each image.
        bits: Range of images of more than 8 bits; see `read_image`. It may be set later.

    Attributes:
        labels: int64 (M,), class of each image, by its ``.cls`` or ``.json``; all 0 where texts are read.
        class_names: What `labels` number if the archives state names; empty if they state numbers.
        texts: The M texts by their ``.txt``, undecoded; empty where classes are read.

    Raises:
        ValueError: if the index holds anything else.
    """

    pixels: Tensor | None = None

    def __init__(self, archives: Sequence[Path], index: Path, bits: int | None = None) -> None:
        self.archives, self.index, self.bits = list(archives), index, bits
        self._open: dict[tuple[int, int], int] = {}  # files are opened once in each process
        with open(index, "rb") as file, np.load(file) as stored:  # numpy leaves damaged files open
            self._archive, self._offset, self._size = (stored[name] for name in ("archive", "offset", "size"))
            self.labels, self._name = stored["label"], stored["name"]
            self.texts = _divided(stored["text"], stored["text_end"]) if "text" in stored else []
            self.class_names = [name.decode("utf-8") for name in stored["class_name"].tolist()]
        numbers = (self._archive, self._offset, self._size, self.labels)
        if {values.dtype.kind for values in numbers} != {"i"} or self._name.dtype.kind != "S":
            raise ValueError(f"{index} is damaged")
        if any(values.shape != (self._name.size,) for values in (*numbers, self._name)):
            raise ValueError(f"{index} is damaged")
        least = min(int(values.min(initial=0)) for values in numbers)
        if self.class_names and self.labels.max(initial=0) >= len(self.class_names):
            raise ValueError(f"{index} is damaged")
        if least < 0 or self._archive.max(initial=0) >= len(self.archives) or self.labels.max(initial=0) > MAX_LABEL:
            raise ValueError(f"{index} is damaged")
        lengths = np.array([path.stat().st_size for path in self.archives], np.int64)[self._archive]
        if (self._size > lengths).any() or (self._offset > lengths - self._size).any():
            raise ValueError(f"{index} is damaged")

    def __reduce__(self) -> tuple[type, tuple[list[Path], Path, int | None]]:
        return Shards, (self.archives, self.index, self.bits)  # a worker opens the files itself

    def __del__(self) -> None:
        for (process, _), file in self._open.items():
            if process == os.getpid():
                os.close(file)

    def read(self, row: int) -> np.ndarray:
        """Returns one image, uint8 (H, W, 3) RGB, which must not be written to.

        Raises:
            ImageError: if it is damaged, or its archive has changed; names both.
        """
        return decode_image(self.content(row), shown(self._place(row)), self.bits)

    def content(self, row: int, most: int = MAX_BYTES) -> bytes:
        """Returns the file of one image, or its first `most` bytes.

        Raises:
            ImageError: if the archive has changed; names both.
        """
        key = (os.getpid(), int(self._archive[row]))
        if key not in self._open:
            self._open[key] = os.open(self.archives[key[1]], os.O_RDONLY)
        return read_member(self._open[key], int(self._offset[row]), int(self._size[row]), shown(self._place(row)), most)

    def name(self, row: int) -> str:
        """Returns the image's name in its archive."""
        return os.fsdecode(self._name[row])

    def describe(self, row: int) -> str:
        """Names one image and its archive in an error message."""
        return f"'{self._place(row)}'"

    def archive(self, row: int) -> Path:
        """Returns the archive of one image."""
        return self.archives[int(self._archive[row])]

    def path(self, row: int) -> None:
        """Returns None: a member of an archive is not a separate file."""

    def version(self, row: int) -> str:
        """Returns size and time of the archive, where the image lies there, and `bits`."""
        archive = self.archive(row)
        return f"{archive.name} {file_version(archive)} {self._offset[row]} {self._size[row]} {self.bits}"

    def contents(self, parts: Sequence[tuple[Storage, np.ndarray]]) -> Iterator[bytes]:
        """Yields nothing: names and labels tell shards apart."""
        yield from ()

    def _place(self, row: int) -> str:
        return f"{self.archive(row)}/{self.name(row)}"


def open_shards(
    folder: Path, archives: Sequence[Path], *, texts: bool = False, fields: Sequence[str] = FIELDS
) -> Shards:
    """Opens the index of these archives; makes it first if it is missing or damaged, or an archive has changed.

    Args:
        folder: Where the index lies; made if need be.
        archives: The tar files.
        texts: Whether images have a text, in ``<key>.txt``, in place of a class.
        fields: Fields of ``<key>.json`` that may state the class where there is no ``<key>.cls``.

    Raises:
        ValueError: if an archive cannot be used, or the index not be written.
    """
    from filelock import FileLock

    digest = hashlib.sha256(b"%d" % _FORMAT + (b" texts" if texts else b" ".join(map(str.encode, fields))))
    for path in archives:
        status = path.stat()
        digest.update(b"\0".join([os.fsencode(path.name), b"%d %d" % (status.st_size, status.st_mtime_ns)]))
    index = folder / f"shards-{digest.hexdigest()[:16]}.npz"
    shards = _read(archives, index)
    if shards is None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(index.with_suffix(".lock")):  # the processes of one machine make it once
                if _read(archives, index) is None:
                    _make(index, archives, texts=texts, fields=fields)
        except OSError as error:
            place = index if index.is_dir() else folder
            raise ValueError(f"data.root: '{place}' cannot be written: {error.strerror or error}") from error
        shards = Shards(archives, index)
    return shards


def _read(archives: Sequence[Path], index: Path) -> Shards | None:
    """Opens the index if it is there and whole."""
    if not index.is_file():
        return None
    try:
        return Shards(archives, index)
    except Exception:  # whatever a damaged zip archive provokes: numpy, zipfile and zlib raise different errors
        return None


def _make(index: Path, archives: Sequence[Path], *, texts: bool, fields: Sequence[str]) -> None:
    from rich.progress import track

    archive, offset, size, label, name, text = [], [], [], [], [], []
    for number, path in enumerate(track(archives, "reading the shards' headers once", transient=True)):
        for member in members(path, EXTENSIONS, distinct=True, texts=texts, fields=() if texts else fields):
            if not member.size:
                raise ValueError(f"{path} is damaged: {shown(member.name)}")
            archive.append(number)
            offset.append(member.offset)
            size.append(member.size)
            label.append(0 if texts else _class(member, fields))
            name.append(os.fsencode(member.name))
            if texts:
                text.append(_written(member))
    if not name:
        raise ValueError(f"{archives[0]} and its like hold no images ({', '.join(EXTENSIONS[:6])}, ...)")
    labels, classes = _numbers(label, archives[0])
    ends = np.cumsum([len(each) for each in text])
    written = {"text": np.frombuffer(b"".join(text), np.uint8), "text_end": ends.astype(np.int64)} if texts else {}
    with replacing(index) as file:
        np.savez(
            file,
            archive=np.array(archive, np.int32),
            offset=np.array(offset, np.int64),
            size=np.array(size, np.int64),
            label=labels,
            class_name=np.array([each.encode() for each in classes], "S"),
            name=np.array(name),
            **written,
        )


def _class(member: Member, fields: Sequence[str]) -> int | str:
    place = shown(f"{member.archive}/{member.name}")
    if member.label is None and (not member.stated or _NUMBER.fullmatch(member.stated)):
        stated = f"the class '{member.stated}'" if member.stated else "no class"
        entries = f"<key>.cls, or in {' or '.join(fields)} of <key>.json; data.table.label names another field"
        raise ValueError(f"{place} has {stated}; expected a number from 0 or a name in {entries}")
    if member.label is None:
        return member.stated
    if member.label > MAX_LABEL:
        raise ValueError(f"{place} has the class {member.label}; the maximum is {MAX_LABEL}")
    return member.label


def _numbers(labels: Sequence[int | str], archive: Path) -> tuple[np.ndarray, list[str]]:
    """Returns labels as numbers, and the names that they number; none if they are numbers already."""
    named = [isinstance(label, str) for label in labels]
    if not any(named):
        return np.array(labels, np.int64), []
    if not all(named):
        raise ValueError(
            f"{archive} and its like have both numbers and names as classes, such as {labels[named.index(False)]} and "
            f"'{labels[named.index(True)]}'"
        )
    names, numbers = np.unique(np.array(labels), return_inverse=True)
    return numbers.astype(np.int64), [str(name) for name in names]


def _written(member: Member) -> bytes:
    if member.text is None:
        raise ValueError(f"{shown(f'{member.archive}/{member.name}')} has no text; expected one in <key>.txt")
    return member.text


def _divided(text: np.ndarray, ends: np.ndarray) -> list[bytes]:
    whole = text.tobytes()
    return [whole[begin:end] for begin, end in zip([0, *ends.tolist()], ends.tolist(), strict=False)]
