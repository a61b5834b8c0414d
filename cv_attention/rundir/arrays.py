"""Reads and writes named arrays as ``.npz`` files, whose compressed content may be far larger than the file."""

import io
import math
import struct
from collections.abc import Collection, Mapping
from pathlib import Path
from zipfile import ZipFile

import numpy as np

from cv_attention.rundir.files import write_bytes
from cv_attention.rundir.formats import Damaged

_SUFFIX = ".npy"
_LONGEST_HEADER = 10_000  # bytes; numpy refuses longer ones too, but reads them first
# Bytes of all arrays that are read from one file: so much always, and so many times its size, but never above the last.
_ALWAYS, _TIMES, _NEVER = 256 * 2**20, 100, 8 * 2**30


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray], *, compressed: bool = False) -> None:
    """Writes an ``.npz`` file whole or not at all, and makes its folder."""
    buffer = io.BytesIO()
    save = np.savez_compressed if compressed else np.savez
    save(buffer, **arrays)  # pyright: ignore[reportArgumentType]
    write_bytes(path, buffer.getbuffer())


def read_arrays(path: Path, names: Collection[str] | None = None) -> dict[str, np.ndarray]:
    """Reads arrays of an ``.npz`` file, once their headers have shown how large they become.

    Args:
        path: The file.
        names: The arrays that are wanted; those that are missing are left out. None for all.

    Raises:
        Damaged: if an array cannot be read without running code, or all of them together are too large.
        Exception: whatever `zipfile` and numpy raise for a damaged file.
    """
    with path.open("rb") as file, ZipFile(file) as archive:
        found = {}
        for member in _checked(archive, names, path.stat().st_size):
            with archive.open(member) as stored:
                found[member.removesuffix(_SUFFIX)] = np.lib.format.read_array(stored, allow_pickle=False)
        return found


def check_arrays(path: Path, names: Collection[str] | None = None) -> None:
    """Raises what `read_arrays` raises before it decompresses anything but the headers."""
    with path.open("rb") as file, ZipFile(file) as archive:
        _checked(archive, names, path.stat().st_size)


def _checked(archive: ZipFile, names: Collection[str] | None, size: int) -> list[str]:
    """Lists the wanted members of an archive, none of them twice."""
    members = dict.fromkeys(name for name in archive.namelist() if name.endswith(_SUFFIX))
    wanted = [name for name in members if names is None or name.removesuffix(_SUFFIX) in names]
    most, total = min(max(_ALWAYS, _TIMES * size), _NEVER), 0
    for name in wanted:
        total += _bytes(archive, name)
        if total > most:
            raise Damaged(f"its arrays would take more than the {most:,} bytes that are read from {size:,}")
    return wanted


def _bytes(archive: ZipFile, member: str) -> int:
    """Returns how many bytes an array takes, by its header."""
    with archive.open(member) as stored:
        start = stored.read(10)
        version = tuple(start[6:8])
        if version == (1, 0):
            length, read = struct.unpack("<H", start[8:10])[0], np.lib.format.read_array_header_1_0
        elif version == (2, 0):
            start += stored.read(2)
            length, read = struct.unpack("<I", start[8:12])[0], np.lib.format.read_array_header_2_0
        else:
            raise Damaged(f"{member} is not an array of numpy's formats 1.0 and 2.0")
        if length > _LONGEST_HEADER:
            raise Damaged(f"{member} has a header of {length:,} bytes")
        shape, _, dtype = read(io.BytesIO(start[8:] + stored.read(length)))
    if dtype.hasobject or any(side < 0 for side in shape):
        raise Damaged(f"{member} holds Python objects or a negative shape, which are never read")
    return math.prod(shape) * max(dtype.itemsize, 1)
