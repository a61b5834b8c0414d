"""Fingerprints the images of a data set, independent of their location and of how they are loaded."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cv_attention.data.sources.images import Images, Stored
from cv_attention.data.texts.text_images import TextImages


def identity(class_names: Sequence[str], splits: Mapping[str, Images], split_file: str | None = None) -> dict[str, Any]:
    """Counts and identifies the images of a data set.

    Args:
        class_names: Names of the classes.
        splits: The images of ``train``, ``val`` and ``test``.
        split_file: File of folds that the splits follow, or None.

    Returns:
        ``images``, their number in each split; ``classes``, the number of classes; ``fingerprint``, 16 hexadecimal
        digits of classes, names and labels, independent of what is held out for validation; and ``folds``, the digest
        of the file and the number of folds, if there are any.
    """
    lines = {name: _labelled(images) for name, images in splits.items()}
    about: dict[str, Any] = {
        "fingerprint": _digest(json.dumps(class_names).encode(), splits, lines),
        "images": {name: len(images) for name, images in splits.items()},
        "classes": len(class_names),
    }
    if split_file:
        text = Path(split_file).expanduser().read_bytes()
        about["folds"] = {"digest": hashlib.sha256(text).hexdigest()[:16], "count": len(json.loads(text)["folds"])}
    return about


def text_identity(splits: Mapping[str, TextImages]) -> dict[str, Any]:
    """Counts and identifies the images of a data set and their texts.

    Args:
        splits: The images of ``train``, ``val`` and ``test``.

    Returns:
        ``images``, their number in each split, and ``fingerprint``, 16 hexadecimal digits of names and texts,
        independent of what is held out for validation.
    """
    lines = {name: _with_texts(images) for name, images in splits.items()}
    counts = {name: len(images) for name, images in splits.items()}
    return {"fingerprint": _digest(b"texts", splits, lines), "images": counts}


def _digest(head: bytes, splits: Mapping[str, Stored], lines: Mapping[str, Iterator[bytes]]) -> str:
    digest = hashlib.sha256(head)
    for names in (["train", "val"], ["test"]):
        digest.update(b"\0".join(sorted(line for name in names for line in lines[name])) + b"\1")
        stores = [(splits[name].storage, splits[name].rows) for name in names]
        for content in stores[0][0].contents(stores):
            digest.update(content)
    return digest.hexdigest()[:16]


def _labelled(images: Images) -> Iterator[bytes]:
    """Yields name and label of each image."""
    for index, label in enumerate(images.labels.tolist()):
        yield os.fsencode(f"{images.short_name(index)} {label}")


def _with_texts(images: TextImages) -> Iterator[bytes]:
    """Yields name and text of each image."""
    for index, text in enumerate(images.texts):
        yield os.fsencode(images.short_name(index)) + b" " + json.dumps(text).encode()
