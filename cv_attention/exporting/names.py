"""Derives safe, unique output file names from image names."""

import os
import re
import unicodedata

_LONGEST = 100  # bytes; file systems allow 255, some of which the suffixes need


def file_stem(number: int, path: str) -> str:
    """Names the output of one image: its number and the safe part of its path, such as ``000017-deep-red``.

    Only letters, digits, ``.``, ``_`` and ``-`` are kept, so that no separator, ``..`` or control character survives;
    the number makes names unique, even on case-insensitive file systems.

    Args:
        number: Number of the image among all images.
        path: Its path relative to its source, a file system or an untrusted archive.
    """
    plain = unicodedata.normalize("NFC", printable(path))
    parts = [part for part in re.split(r"[/\\]+", plain) if part.strip(". ")]
    slug = re.sub(r"[^\w.-]+|\.{2,}", "_", "-".join(parts)).strip(".-_")
    stem = f"{number:06d}-{slug}" if slug else f"{number:06d}"
    return stem.encode()[:_LONGEST].decode(errors="ignore").rstrip(".-")


def printable(path: str) -> str:
    """Returns a path as valid text: bytes that are not UTF-8 are escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
