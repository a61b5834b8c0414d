"""Reads images from tar archives in WebDataset's layout: ``<key>.jpg``, its class in ``<key>.cls`` or ``<key>.json``.

Uses the standard library: the headers are read once, and each image is then read at its offset. Dividing a shard's
images among processes and skipping them on resuming needs this random access, which WebDataset's own streams lack.
"""

import json
import os
import stat
import tarfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from cv_attention.data.decoding.decode import MAX_BYTES, ImageError, decode_image, kind_of, shown

_T = TypeVar("_T")
_LABEL = 256  # bytes of the longest class that is read
_TEXT = 1 << 20  # bytes of the longest text, or the longest JSON


@dataclass(frozen=True, slots=True)
class Member:
    """Describes an image in an archive: its location, and its class and text if the archive has them."""

    archive: Path
    name: str
    offset: int
    size: int
    label: int | None = None
    stated: str = ""  # the class, if it is not a number
    text: bytes | None = None  # content of the text entry, if texts are asked for

    def read(self, bits: int | None = None) -> np.ndarray:
        """Decodes the image; see `cv_attention.data.read_image`."""
        place = shown(f"{self.archive}/{self.name}")
        with self.archive.open("rb") as file:
            data = read_member(file.fileno(), self.offset, self.size, place)
        return decode_image(data, place, bits)


def read_member(file: int, offset: int, size: int, place: str, most: int = MAX_BYTES) -> bytes:
    """Reads the content of an image in an open archive, or its first `most` bytes.

    Raises:
        ImageError: if the archive is truncated, or the image is empty or larger than 1 GiB.
    """
    if size > MAX_BYTES:
        raise ImageError(f"'{place}' has {size:,} bytes; at most {MAX_BYTES:,} are read")
    wanted = min(size, most)
    data = os.pread(file, wanted, offset) if wanted > 0 and offset >= 0 else b""
    if not data or len(data) < wanted:
        raise ImageError(f"'{place}' is empty, truncated or damaged")
    return data


def members(
    archive: Path, suffixes: Sequence[str], *, distinct: bool = False, texts: bool = False, fields: Sequence[str] = ()
) -> Iterator[Member]:
    """Lists the images of an archive in its order, without links and sparse files.

    A warning reports them if the archive belongs to a data set (`distinct`).

    Where `texts` are asked for, each image has the content of the ``.txt`` entry of the same key. Where `fields` are
    given, an image without a ``.cls`` entry has the class that the first of these fields of its ``.json`` entry states.

    The unreadable part of a damaged archive is listed as one more image, which then fails like any damaged image.

    Raises:
        ValueError: if it is not a regular file, or is compressed, which prevents random access; if it contains an
            image, a class or a text twice although names must be `distinct`; or if a text is larger than 1 MiB.
    """
    status = os.stat(archive)
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{shown(archive)} is {kind_of(status.st_mode)}, not a regular file")
    images: list[Member] = []
    labels: dict[str, int | str] = {}
    described: dict[str, int | str] = {}
    written: dict[str, bytes] = {}
    names: set[str] = set()
    skipped: list[str] = []
    try:
        for tar, info in _headers(archive):
            wanted = info.name.lower().endswith(tuple(suffixes))
            if not info.isreg() or info.issparse():  # links could lead anywhere
                skipped += [info.name] if wanted and not info.isdir() else []
                continue
            if distinct and info.name in names:
                raise ValueError(f"{archive} contains {shown(info.name)} twice; the names in an archive must be unique")
            if wanted:
                names.add(info.name)
                images.append(Member(archive, info.name, info.offset_data, info.size))
            elif info.name.endswith(".cls"):
                names.add(info.name)
                labels[_key(info.name)] = _label(tar, info)
            elif texts and info.name.endswith(".txt"):
                names.add(info.name)
                written[_key(info.name)] = _text(tar, info)
            elif fields and info.name.endswith(".json"):
                names.add(info.name)
                described[_key(info.name)] = _field(tar, info, fields)
    except tarfile.TarError as error:
        if not images:
            _refuse_compressed(archive)
        images.append(Member(archive, f"({shown(str(error))})", status.st_size, 0))
    if skipped and distinct:
        more = f" (and {len(skipped) - 1} more)" if len(skipped) > 1 else ""
        warnings.warn(f"left out: {shown(f'{archive}/{skipped[0]}')} is a link or sparse{more}", stacklevel=2)
    for image in images:
        key = _key(image.name)
        label, text = labels.get(key, described.get(key)), written.get(key)
        stated = {"stated": label} if isinstance(label, str) else {"label": label}
        yield replace(image, text=text, **stated)


def _headers(archive: Path) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    """Iterates over an archive's headers; raises `tarfile.TarError` for anything wrong with one."""
    behind = -1
    with _readable(lambda: tarfile.open(archive, "r:")) as tar:
        while (info := _readable(tar.next)) is not None:
            if info.size < 0 or info.offset <= behind:  # such headers would be read forever
                raise tarfile.ReadError(f"damaged header of {info.name}")
            behind = info.offset
            tar.members.clear()  # pyright: ignore[reportAttributeAccessIssue]  # do not keep an archive's millions of headers
            yield tar, info


def _readable(read: Callable[[], _T]) -> _T:
    try:
        return read()
    except (tarfile.TarError, OSError):
        raise
    except Exception as error:  # invalid numbers, texts and nested headers of damaged or hostile archives
        raise tarfile.ReadError(f"damaged header: {str(error) or type(error).__name__}") from error


def _refuse_compressed(archive: Path) -> None:
    with archive.open("rb") as file:
        start = file.read(6)
    if start.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")):
        raise ValueError(f"{archive} is compressed; unpack it to a .tar file, which allows random access") from None


def _key(name: str) -> str:
    """Returns WebDataset's key: the path up to the first dot of the file name."""
    folder, _, file = name.rpartition("/")
    return f"{folder}/{file.partition('.')[0]}"


def _label(tar: tarfile.TarFile, info: tarfile.TarInfo) -> int | str:
    """Returns the number in a ``.cls`` entry, or the start of its content if it is not a number."""
    file = tar.extractfile(info)
    text = file.read(_LABEL).strip() if file else b""
    if info.size <= _LABEL and text.isdigit():
        return int(text)
    return _shown_class(text.decode("utf-8", "backslashreplace"))


def _field(tar: tarfile.TarFile, info: tarfile.TarInfo, fields: Sequence[str]) -> int | str:
    """Returns the first of these fields in a ``.json`` entry; an empty text if it has none of them."""
    try:
        content = json.loads(_text(tar, info))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{shown(f'{tar.name}/{info.name}')} is not valid JSON: {str(error)[:100]}") from None
    found = {str(name).lower(): value for name, value in content.items()} if isinstance(content, dict) else {}
    value = next((found[field] for field in fields if found.get(field) is not None), "")
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    return _shown_class(str(value))


def _shown_class(text: str) -> str:
    text = shown(text.strip())
    return text if len(text) <= _LABEL else text[: _LABEL - 3] + "..."


def _text(tar: tarfile.TarFile, info: tarfile.TarInfo) -> bytes:
    """Returns the content of a ``.txt`` entry."""
    if info.size > _TEXT:
        raise ValueError(f"{shown(f'{tar.name}/{info.name}')} has {info.size:,} bytes; at most {_TEXT:,} are read")
    file = tar.extractfile(info)
    return file.read() if file else b""
