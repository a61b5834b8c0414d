"""Images in tar archives, laid out as WebDataset does: ``<key>.jpg`` with its class in ``<key>.cls``.

Read with the standard library: the headers are gone through once, and each image is then read where it lies. That a
shard's images can be shared by processes and skipped on resuming needs this random access, which WebDataset's own
streams do not have.
"""

import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cv_attention.data.decode import ImageError, decode_image


@dataclass(frozen=True, slots=True)
class Member:
    """An image in an archive: where it lies there, and its class where the archive says so."""

    archive: Path
    name: str
    offset: int
    size: int
    label: int | None = None

    def read(self) -> np.ndarray:
        """Decodes it; see `cv_attention.data.read_image`."""
        with self.archive.open("rb") as file:
            file.seek(self.offset)
            data = file.read(self.size)
        if len(data) < self.size or not data:
            raise ImageError(f"'{self.archive}' is cut short or damaged at {self.name}")
        return decode_image(data, f"{self.archive}/{self.name}")


def members(archive: Path, suffixes: Sequence[str], *, distinct: bool = False) -> Iterator[Member]:
    """Lists the images of an archive in its order.

    What cannot be read of a damaged archive counts as one more image, which then fails like any that is damaged.

    Raises:
        ValueError: if it is compressed, which forbids random access; or, where names must be `distinct`, it holds an
            image or a class twice.
    """
    images: list[Member] = []
    labels: dict[str, int | None] = {}
    names: set[str] = set()
    try:
        with tarfile.open(archive, "r:") as tar:
            for info in tar:
                if not info.isreg():
                    continue  # links could lead anywhere
                if distinct and info.name in names:
                    raise ValueError(f"{archive} holds {info.name} twice; the names in an archive must differ")
                if info.name.lower().endswith(tuple(suffixes)):
                    names.add(info.name)
                    images.append(Member(archive, info.name, info.offset_data, info.size))
                elif info.name.endswith(".cls") and info.size < 32:
                    names.add(info.name)
                    labels[_key(info.name)] = _number(tar, info)
    except tarfile.TarError as error:
        if not images:
            with archive.open("rb") as file:
                if file.read(2) == b"\x1f\x8b":
                    raise ValueError(
                        f"{archive} is compressed; unpack it to .tar, of which any image can be read"
                    ) from None
        images.append(Member(archive, f"({error})", archive.stat().st_size, 0))
    for image in images:
        yield replace(image, label=labels.get(_key(image.name)))


def _key(name: str) -> str:
    """WebDataset's key: the path up to the first dot of the file name."""
    folder, _, file = name.rpartition("/")
    return f"{folder}/{file.partition('.')[0]}"


def _number(tar: tarfile.TarFile, info: tarfile.TarInfo) -> int | None:
    file = tar.extractfile(info)
    text = file.read().strip() if file else b""
    return int(text) if text.isdigit() else None
