"""Divides a training split into folds for cross-validation, stored as a file of indices."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from cv_attention.data.stratifying import divide as divide_classes
from cv_attention.data.stratifying import strata


def divide(labels: np.ndarray, count: int, seed: int, groups: np.ndarray | None = None) -> list[np.ndarray]:
    """Divides images into folds with equal shares of every class, by scikit-learn's `StratifiedKFold`.

    Args:
        labels: Class indices (N,); of images with several classes each uint8 (N, C), and of numbers float32 (N, V), see
            `strata`.
        count: Number of folds.
        seed: Seed of the shuffle.
        groups: Group of each image (N,): those of a group are in one fold, and `labels` make no difference. None
            divides by classes.

    Returns:
        The positions in each fold, ascending; every image is in exactly one fold.

    Raises:
        ValueError: if there are fewer than two folds, or a class has fewer images than there are folds.
    """
    from sklearn.model_selection import KFold, StratifiedKFold

    if labels.dtype == np.uint8 and labels.ndim == 2:
        return _with_several_classes(labels, count, seed, groups)
    labels = strata(labels)
    if groups is not None:
        names, places = np.unique(groups, return_inverse=True)
        if not 2 <= count <= len(names):
            raise ValueError(f"folds must lie between 2 and the {len(names)} images, got {count}")
        parts = KFold(count, shuffle=True, random_state=seed).split(names)
        return [np.flatnonzero(np.isin(places, held)) for _, held in parts]
    values, counts = np.unique(labels, return_counts=True)
    if not 2 <= count <= counts.min():
        raise ValueError(
            f"folds must lie between 2 and the {counts.min()} images of the smallest class "
            f"(class {values[counts.argmin()]}), got {count}"
        )
    splitter = StratifiedKFold(count, shuffle=True, random_state=seed)
    return [held for _, held in splitter.split(np.zeros(len(labels)), labels)]


def _with_several_classes(labels: np.ndarray, count: int, seed: int, groups: np.ndarray | None) -> list[np.ndarray]:
    """Divides images that have several classes each."""
    rarest = labels.sum(0, dtype=np.int64)
    if not 2 <= count <= rarest.min():
        raise ValueError(
            f"folds must lie between 2 and the {rarest.min()} images of the smallest class (class {rarest.argmin()}), "
            f"got {count}"
        )
    parts = divide_classes(labels, [1 / count] * count, seed, groups)
    return [np.flatnonzero(parts == fold) for fold in range(count)]


def write(path: Path, labels: np.ndarray, count: int, seed: int, groups: np.ndarray | None = None) -> None:
    """Writes the folds of `divide` as JSON: one line per fold, and fields to check that they belong to the data."""
    head: dict[str, Any] = {"images": len(labels), "labels": _digest(labels), "seed": seed}
    lines = [json.dumps(fold.tolist()) for fold in divide(labels, count, seed, groups)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(head)[:-1] + ', "folds": [\n' + ",\n".join(lines) + "\n]}\n", encoding="utf-8")


def read(path: str, fold: int, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Reads one fold.

    Args:
        path: A file from `write`.
        fold: Index of the held-out fold, from 0.
        labels: Class indices (N,) of the training split.

    Returns:
        Positions of the images kept and of those held out, each ascending.

    Raises:
        FileNotFoundError: if the file does not exist.
        ValueError: if the file holds no folds with every image in exactly one, not this fold, or folds of other data.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise FileNotFoundError(f"data.split_file: file not found: {path}; cv-attention folds writes one")
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        images, digest, folds = content["images"], content["labels"], content["folds"]
        places = [place for part in folds for place in part]
        if not all(type(place) is int for place in places) or sorted(places) != list(range(images)):
            raise ValueError("every image must be in exactly one fold")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"data.split_file: {path} holds no folds; cv-attention folds writes such a file") from error
    if images != len(labels) or digest != _digest(labels):
        raise ValueError(
            f"data.split_file: {path} is for other data: it divides {images:,} images, the training split has "
            f"{len(labels):,}, and the labels in their order must be the same"
        )
    if not 0 <= fold < len(folds):
        raise ValueError(f"data.fold must lie between 0 and {len(folds) - 1}, the folds of {path}, got {fold}")
    held = np.array(sorted(folds[fold]), np.int64)
    return np.setdiff1d(np.arange(len(labels)), held, assume_unique=True), held


def _digest(labels: np.ndarray) -> str:
    kind = "<i8" if labels.ndim == 1 else labels.dtype.newbyteorder("<")
    return hashlib.sha256(np.ascontiguousarray(labels, kind).tobytes()).hexdigest()[:16]
