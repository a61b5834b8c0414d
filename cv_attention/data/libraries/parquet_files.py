"""Opens Parquet files with the images in them, as data sets on the Hugging Face Hub have them."""

import re
from pathlib import Path
from typing import Any

from cv_attention.data.sources.folder import ALIASES

_SUFFIX = ".parquet"
_DEPTH = 2  # folders below the data set's: data/train-00000-of-00001.parquet, or default/train/0000.parquet


def parquet_files(root: Path) -> dict[str, list[Path]]:
    """Returns the Parquet files of a data set by split; those that name no split are ``train`` if none does.

    Args:
        root: A file, or a folder with files whose path says their split.

    Raises:
        ValueError: if several folders have files of the same split; names them.
    """
    if root.is_file():
        return {"train": [root]} if root.suffix.lower() == _SUFFIX else {}
    patterns = ("/".join(["*"] * depth) for depth in range(1, _DEPTH + 2))
    files = sorted(
        path
        for pattern in patterns
        for path in root.glob(pattern)
        if path.suffix.lower() == _SUFFIX and not any(part[0] == "." for part in path.relative_to(root).parts)
    )
    found: dict[str, list[Path]] = {}
    for file in files:
        found.setdefault(_split_of(file.relative_to(root)), []).append(file)
    unnamed = found.pop("", [])
    if unnamed and not found:
        found = {"train": unnamed}
    for split, own in found.items():
        folders = sorted({str(file.parent) for file in own})
        if len(folders) > 1:
            raise ValueError(
                f"'{root}' has Parquet files of {split} in several folders: {', '.join(folders)}; give one"
            )
    return found


def open_parquet(files: dict[str, list[Path]], root: Path) -> dict[str, Any]:
    """Opens Parquet files by Hugging Face's ``datasets``, which keeps an Arrow copy in its own cache.

    Columns of encoded images get the type `Image`, whatever wrote them.

    Args:
        files: The files of each split.
        root: The data set, for messages.

    Returns:
        The data set of each split.

    Raises:
        ValueError: if a file is damaged, or the splits have other columns; names the data set.
    """
    import datasets  # pyright: ignore[reportMissingImports]

    opened = {}
    for split, own in files.items():
        try:
            opened[split] = datasets.Dataset.from_parquet([str(file) for file in own])
            for name, feature in opened[split].features.items():
                if _holds_images(feature):
                    opened[split] = opened[split].cast_column(name, datasets.Image())
        except Exception as error:  # whatever a damaged file provokes
            cause = error.__cause__ or error
            names = ", ".join(file.name for file in own[:3])
            raise ValueError(f"'{root}': {names} cannot be read: {' '.join(str(cause).split())[:200]}") from error
    return opened


def _split_of(path: Path) -> str:
    words = [word for part in path.parts for word in re.split(r"[^a-z]+", part.lower())]
    return next((split for split, names in ALIASES.items() for word in words if word in names), "")


def _holds_images(feature: Any) -> bool:
    """Returns whether a type is that of files, as bytes alone or with their path."""
    if isinstance(feature, dict):
        return set(feature) == {"bytes", "path"}
    return getattr(feature, "dtype", "") in ("binary", "large_binary")
