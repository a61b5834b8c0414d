"""Finds broken images before a training run, for ``data.on_error: skip``."""

import hashlib
import json
import os
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from cv_attention.data.decoding.decode import ImageError, shown
from cv_attention.rundir.files import write_text

_FORMAT = 1


def find_broken(store: Path, count: int, read: Callable[[int], np.ndarray]) -> dict[int, str]:
    """Decodes every image once, and keeps the result for the next start.

    Args:
        store: The file for the results; its name must change with the images. If it cannot be written, all images are
            decoded at each start.
        count: Number of images.
        read: Decodes one image.

    Returns:
        The error of each broken image, by its position.
    """
    from filelock import FileLock

    try:
        store.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(store.with_suffix(".lock")):  # only one process per machine checks
            broken = _stored(store)
            if broken is None:
                broken = _decoded(count, read)
                write_text(store, json.dumps({"format": _FORMAT, "broken": broken}))
            return broken
    except OSError:
        return _decoded(count, read)


def identity(names: Sequence[bytes], bits: int | None) -> str:
    """Returns a digest that changes with the name, size or time of a file, or with the bit depth."""
    digest = hashlib.sha256(f"{_FORMAT} {bits}".encode())
    for name in names:
        digest.update(name)
        try:
            status = os.stat(name)
            digest.update(b"\0%d %d" % (status.st_size, status.st_mtime_ns))
        except OSError:  # a broken link
            digest.update(b"\0gone")
    return digest.hexdigest()[:16]


def warn(split: str, broken: dict[int, str], count: int) -> tuple[str, ...]:
    """Warns about the images of a split that are left out, and returns the error of each."""
    reasons = tuple(broken[index] for index in sorted(broken))
    for first in reasons[:1]:
        more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
        warnings.warn(
            f"data.on_error skip: {len(reasons)} of {count:,} {split} images are left out: {first}{more}",
            stacklevel=2,
        )
    return reasons


def _stored(store: Path) -> dict[int, str] | None:
    """Returns the stored results; None if there are none, or they are damaged."""
    try:
        content = json.loads(store.read_text(encoding="utf-8"))
        if content["format"] == _FORMAT:
            return {int(index): str(reason) for index, reason in content["broken"].items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        pass
    return None


def _decoded(count: int, read: Callable[[int], np.ndarray]) -> dict[int, str]:
    from rich.progress import track

    def reason(index: int) -> str | None:
        try:
            read(index)
        except FileNotFoundError as error:
            return f"image not found: '{shown(os.fsdecode(error.filename or str(error)))}'"
        except (ImageError, OSError) as error:
            return " ".join(str(error).split())
        return None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        reasons = track(pool.map(reason, range(count)), "looking for broken images", total=count, transient=True)
        return {index: text for index, text in enumerate(reasons) if text}
