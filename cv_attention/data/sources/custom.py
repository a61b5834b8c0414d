"""Reads a data set of your own: any function that returns class names and the images of each split."""

import inspect
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from cv_attention.blocks.importing import import_object, is_function_of
from cv_attention.data.labels import marked, numeric
from cv_attention.data.sources.decoded import DecodedFiles, decode_all
from cv_attention.data.sources.files import Files
from cv_attention.data.sources.images import Images
from cv_attention.data.sources.memory import in_memory

_SPLITS = ("train", "val", "test")


def load(
    path: str, root: str, options: Mapping[str, Any], bits: int | None = None, targets: str = "single"
) -> tuple[list[str], dict[str, Images]]:
    """Calls a function ``source(root, **options)`` and checks what it returns.

    It returns the class names, and images and labels of ``train``, ``test`` and, where there is one, ``val``. Images
    are a uint8 array (N, H, W, 3) or a list of files; labels are N positions in the class names, with several classes
    per image (N, C) of 0 and 1, and for numbers (N,) or (N, V), in the order of the names.

    Args:
        path: Class path of the function, ``data.name``.
        root: ``data.root``.
        options: ``data.options``.
        bits: Range of files of more than 8 bits, see `read_image`.
        targets: ``data.targets``.

    Raises:
        ValueError: if the function cannot be imported or called so, or returns something else.
    """
    source = import_object(path, "data.name", "function", is_function_of(path.rpartition(".")[0]), "my_data.birds")
    try:
        inspect.signature(source).bind(root, **options)
    except TypeError as error:
        raise ValueError(f"data.name {path!r} cannot be called with root and data.options: {error}") from error
    found = source(root, **options)
    try:
        names, splits = found
        class_names = _names(names)
        parts = dict(splits)
    except (TypeError, ValueError) as error:
        got = " ".join(repr(found).split())
        raise ValueError(
            f"data.name {path!r} must return class names and {{'train': (images, labels), ...}}, got {got:.80}"
        ) from error
    wrong = [name for name in parts if name not in _SPLITS] + [name for name in ("train", "test") if name not in parts]
    if wrong:
        raise ValueError(
            f"data.name {path!r} must return the splits train, test and perhaps val, got {', '.join(parts)}"
        )
    least = 2 if targets == "single" else 1
    if len(set(class_names)) < max(least, len(class_names)):
        raise ValueError(
            f"data.name {path!r} must return at least {least} classes of different names, got {class_names!r:.80}"
        )
    return class_names, {
        name: _images(f"{path}, {name}", part, class_names, bits, targets) for name, part in parts.items()
    }


def _names(names: Any) -> list[str]:
    if isinstance(names, str):
        raise TypeError("the class names are one text")
    return [str(name) for name in names]


def _images(place: str, part: Any, class_names: list[str], bits: int | None, targets: str) -> Images:
    try:
        given, labels = part
    except (TypeError, ValueError) as error:
        raise ValueError(f"{place}: a split must be (images, labels), got {type(part).__name__}") from error
    labels = _labels(place, np.asarray(labels), class_names, targets)
    if len(given) != len(labels):
        raise ValueError(f"{place}: {len(given)} images have {len(labels)} labels")
    if isinstance(given, np.ndarray) and given.dtype.kind not in "SUO":
        if given.dtype != np.uint8 or given.ndim != 4 or given.shape[3] != 3:
            raise ValueError(f"{place}: an array of images must be uint8 (N, H, W, 3), got {given.dtype} {given.shape}")
        return in_memory(np.ascontiguousarray(given), labels)
    wrong = [type(one).__name__ for one in given if not isinstance(one, str | bytes | os.PathLike)]
    if wrong:
        raise ValueError(
            f"{place}: images must be a uint8 array (N, H, W, 3) or a list of files, got a list of {wrong[0]}"
        )
    paths = np.array([os.fsencode(path) for path in given])
    pixels = decode_all(paths.tolist(), bits=bits)
    storage = Files(paths, bits) if pixels is None else DecodedFiles(paths, bits, pixels)
    return Images(labels, np.arange(len(labels)), storage)


def _labels(place: str, labels: np.ndarray, names: list[str], targets: str) -> np.ndarray:
    """Returns labels in the form of `Images`."""
    if not labels.size:
        raise ValueError(f"{place}: a split must have at least one image")
    if targets == "numbers":
        return numeric(labels[:, None] if labels.ndim == 1 else labels, names, f"{place}: labels")
    if targets == "multi":
        return marked(labels, names, f"{place}: labels")
    count = len(names)
    whole = labels.ndim == 1 and np.issubdtype(labels.dtype, np.integer)
    if not whole or labels.min() < 0 or labels.max() >= count:
        raise ValueError(f"{place}: labels must be positions 0 to {count - 1} in the class names")
    return labels.astype(np.int64)
