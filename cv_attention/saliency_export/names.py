"""Derives safe, unique output file names from image names."""

import os
import re
import unicodedata

_LONGEST = 100  # bytes; file systems take 255, of which suffixes need some


def file_stem(number: int, path: str) -> str:
    """Names the output of one image: its number, then what is harmless of its path, such as ``000017-deep-red``.

    Only letters, digits, ``.``, ``_`` and ``-`` are kept, so that no separator, ``..`` or control character survives;
    the number makes names unique, also where a file system does not tell capitals.

    Args:
        number: The image's number among all.
        path: Its path below its source, from a file system or an archive that nobody vouches for.
    """
    plain = unicodedata.normalize("NFC", printable(path))
    parts = [part for part in re.split(r"[/\\]+", plain) if part.strip(". ")]
    slug = re.sub(r"[^\w.-]+|\.{2,}", "_", "-".join(parts)).strip(".-_")
    stem = f"{number:06d}-{slug}" if slug else f"{number:06d}"
    return stem.encode()[:_LONGEST].decode(errors="ignore").rstrip(".-")


def printable(path: str) -> str:
    """Returns a path as text that any file format takes: bytes that are no UTF-8 become escapes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
