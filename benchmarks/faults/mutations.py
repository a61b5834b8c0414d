"""Damages files for the fuzzing: bits, bytes, numbers, pieces; then repairs the checksums, so that more is read."""

import struct
import zlib

import numpy as np

_NUMBERS = (
    0,
    1,
    2,
    4,
    7,
    8,
    16,
    127,
    128,
    255,
    256,
    4095,
    32767,
    32768,
    65535,
    1 << 20,
    (1 << 31) - 1,
    1 << 31,
    (1 << 32) - 1,
)
_PNG = b"\x89PNG\r\n\x1a\n"


def mutate(data: bytes, others: list[bytes], rng: np.random.Generator, words: list[bytes] = []) -> bytes:  # noqa: B006
    """Returns a damaged copy.

    Args:
        data: What is damaged.
        others: Files from which pieces are taken.
        rng: Decides everything.
        words: Texts that mean something to the reader, put in at random places.
    """
    found = bytearray(data)
    for _ in range(int(rng.integers(1, 6))):
        _once(found, others, rng, words)
    return repaired(bytes(found)) if rng.random() < 0.7 else bytes(found)


def _once(found: bytearray, others: list[bytes], rng: np.random.Generator, words: list[bytes]) -> None:
    if not found:
        found += others[int(rng.integers(0, len(others)))]
    kind = int(rng.integers(0, 9 if words else 8))
    size = max(len(found), 1)
    # Headers decide most: half of all places lie in the first 512 bytes.
    at = int(rng.integers(0, min(size, 512))) if rng.random() < 0.5 else int(rng.integers(0, size))
    length = int(min(2 ** rng.integers(0, 10), size - at))
    if kind == 0:
        found[at] ^= 1 << int(rng.integers(0, 8))
    elif kind == 1:
        found[at] = int(rng.integers(0, 256))
    elif kind == 2:
        number = _NUMBERS[int(rng.integers(0, len(_NUMBERS)))]
        form = (">I", "<I", ">H", "<H")[int(rng.integers(0, 4))]
        packed = struct.pack(form, number & (0xFFFFFFFF if form[1] == "I" else 0xFFFF))
        found[at : at + len(packed)] = packed
    elif kind == 3:
        del found[at : at + length]
    elif kind == 4:
        found[at:at] = found[at : at + length]
    elif kind == 5:
        found[at : at + length] = rng.bytes(length)
    elif kind == 6:
        del found[at + length :]
    elif kind == 7:
        other = others[int(rng.integers(0, len(others)))]
        start = int(rng.integers(0, max(len(other), 1)))
        found[at : at + length] = other[start : start + length]
    else:
        found[at:at] = words[int(rng.integers(0, len(words)))]
    del found[4 << 20 :]


def repaired(data: bytes) -> bytes:
    """Corrects the checksums of a PNG's chunks or of a tar archive's headers, which hide all other damage."""
    if data.startswith(_PNG):
        return _repaired_png(data)
    if len(data) >= 512 and data[257:262] == b"ustar":
        return _repaired_tar(data)
    return data


def _repaired_png(data: bytes) -> bytes:
    found, at = bytearray(data), len(_PNG)
    while at + 12 <= len(found):
        length = int.from_bytes(found[at : at + 4], "big")
        end = at + 8 + length
        if end + 4 > len(found):
            break
        found[end : end + 4] = struct.pack(">I", zlib.crc32(found[at + 4 : end]))
        at = end + 4
    return bytes(found)


def _repaired_tar(data: bytes) -> bytes:
    found = bytearray(data)
    for at in range(0, len(found) - 511, 512):
        if found[at + 257 : at + 262] == b"ustar":
            found[at + 148 : at + 156] = b" " * 8
            found[at + 148 : at + 156] = b"%06o\0 " % sum(found[at : at + 512])
    return bytes(found)
