"""Fingerprints the images of a data set, independent of their location and of how they are loaded."""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cv_attention.data.sources.images import Images

if TYPE_CHECKING:
    from cv_attention.data.datamodule import ImageData

_SEPARATOR = os.fsencode(os.sep)
_LOOKED_AT = 256  # files of a split whose sizes are hashed, or images whose pixels are: names alone miss a smaller copy


def identity(module: "ImageData") -> dict[str, Any]:
    """Counts and identifies the images of a data module after its setup.

    Returns:
        ``images``, their number in each split; ``classes``, the number of classes; ``fingerprint``, 16 hexadecimal
        digits of classes, names and labels, independent of what is held out for validation; and ``folds``, the digest
        of the file and the number of folds, if there are any.
    """
    splits = {name: split.images for name, split in module.splits.items()}
    digest = hashlib.sha256(json.dumps(module.class_names).encode())
    for part in (["train", "val"], ["test"]):
        lines = sorted(line for name in part for line in _lines(splits[name]))
        digest.update(b"\0".join(lines) + b"\1")
        for line in _looked_at([splits[name] for name in part]):
            digest.update(line)
    found: dict[str, Any] = {
        "fingerprint": digest.hexdigest()[:16],
        "images": {name: len(images) for name, images in splits.items()},
        "classes": len(module.class_names),
    }
    if module.config.split_file:
        text = Path(module.config.split_file).expanduser().read_bytes()
        count = len(json.loads(text)["folds"])
        found["folds"] = {"digest": hashlib.sha256(text).hexdigest()[:16], "count": count}
    return found


def _lines(images: Images) -> Iterator[bytes]:
    """Yields name and label of each image."""
    labels = images.labels.tolist()
    if images.paths is not None:
        for path, label in zip(images.paths.tolist(), labels, strict=True):
            yield b"/".join(path.split(_SEPARATOR)[-2:]) + b" %d" % label
    else:
        for index, label in enumerate(labels):
            yield f"{images.short_name(index)} {label}".encode(errors="surrogateescape")


def _looked_at(parts: list[Images]) -> Iterator[bytes]:
    """Yields sizes of some files, or pixels of some images in memory, independent of what is held out."""
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
