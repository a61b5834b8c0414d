"""Fingerprints the images of a data set, independent of where they lie and how they are loaded."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cv_attention.data.sources.images import Images

_SEPARATOR = os.fsencode(os.sep)
_LOOKED_AT = 256  # files of a split whose sizes count, or images whose pixels do: names alone miss a smaller copy


def identity(class_names: Sequence[str], splits: Mapping[str, Images], split_file: str | None = None) -> dict[str, Any]:
    """Counts and identifies the images of a data set.

    Args:
        class_names: Names of the classes.
        splits: The images of ``train``, ``val`` and ``test``.
        split_file: File of folds that the splits follow, or None.

    Returns:
        ``images``, their number in each split; ``classes``, the number of classes; ``fingerprint``, 16 hexadecimal
        digits of classes, names and labels, the same whatever is held out for validation; and ``folds``, the file's
        digest and the number of folds, where there are any.
    """
    digest = hashlib.sha256(json.dumps(class_names).encode())
    for part in (["train", "val"], ["test"]):
        lines = sorted(line for name in part for line in _lines(splits[name]))
        digest.update(b"\0".join(lines) + b"\1")
        for line in _looked_at([splits[name] for name in part]):
            digest.update(line)
    about: dict[str, Any] = {
        "fingerprint": digest.hexdigest()[:16],
        "images": {name: len(images) for name, images in splits.items()},
        "classes": len(class_names),
    }
    if split_file:
        text = Path(split_file).expanduser().read_bytes()
        about["folds"] = {"digest": hashlib.sha256(text).hexdigest()[:16], "count": len(json.loads(text)["folds"])}
    return about


def _lines(images: Images) -> Iterator[bytes]:
    """Name and label of each image."""
    labels = images.labels.tolist()
    if images.paths is not None:
        for path, label in zip(images.paths.tolist(), labels, strict=True):
            yield b"/".join(path.split(_SEPARATOR)[-2:]) + b" %d" % label
    else:
        for index, label in enumerate(labels):
            yield f"{images.short_name(index)} {label}".encode(errors="surrogateescape")


def _looked_at(parts: list[Images]) -> Iterator[bytes]:
    """Sizes of some files, or pixels of some images that are in no file; the same ones whatever is held out."""
    if parts[0].paths is not None:
        paths = np.sort(np.concatenate([part.paths for part in parts if part.paths is not None]))
        for path in paths[:: _step(len(paths))].tolist():
            yield b"%d" % os.stat(path).st_size
    elif parts[0].pixels is not None:
        pixels = parts[0].pixels  # those of train before a part of it was held out
        rows = np.sort(np.concatenate([part.rows for part in parts if part.pixels is pixels]))
        for row in rows[:: _step(len(rows))].tolist():
            yield pixels[row].contiguous().numpy().tobytes()


def _step(count: int) -> int:
    return max(1, count // _LOOKED_AT)
