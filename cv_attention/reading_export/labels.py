"""Finds the true texts of images in the label files of their folders."""

import os
from collections.abc import Sequence
from pathlib import Path

from cv_attention.config import Text
from cv_attention.data.texts.label_files.table import find_in
from cv_attention.data.texts.listed import list_texts


def find_truths(folders: Sequence[Path], config: Text, cache: Path) -> dict[str, str]:
    """Returns the true texts of the images in folders that have a label file.

    Args:
        folders: Folders of images; other paths have no label file.
        config: The settings of the texts that the network was trained with.
        cache: A folder for indices of archives; those are not used here.

    Returns:
        The absolute path of each image and its text; the first, where it has several.

    Raises:
        ValueError: if a label file is invalid; names file and line.
    """
    truths: dict[str, str] = {}
    for folder in folders:
        found = find_in(folder) if folder.is_dir() else None
        if found is None or found.format.open is not None:
            continue
        listed = list_texts(found, config, cache, missing=True)
        for entry, row in zip(listed.entries, listed.rows.tolist(), strict=True):
            truths.setdefault(os.path.abspath(os.fsdecode(listed.files[row])), entry.text)
    return truths
