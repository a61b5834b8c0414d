"""Reads a folder of images with a label file: its splits, its alphabet, and what is left out of it."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cv_attention.alphabet import Alphabet
from cv_attention.config import Data
from cv_attention.data.tables.entries import Entry
from cv_attention.data.texts import alphabets
from cv_attention.data.texts.label_files.table import SPLITS, Found, find
from cv_attention.data.texts.listed import CACHE, find_bits, list_texts, open_images, without_broken
from cv_attention.data.texts.text_images import TextImages, held_out

_TEST_SEED = 0  # of the test images, which no setting but their share may change


class Loaded(NamedTuple):
    """A data set of texts: its alphabet, the images of its splits (``val`` may be missing), and lines about it."""

    alphabet: Alphabet
    images: dict[str, TextImages]
    notes: list[str]


class _Part(NamedTuple):
    """Images of one split, and where their texts come from."""

    entries: list[Entry]
    images: TextImages

    def select(self, positions: np.ndarray) -> "_Part":
        return _Part([self.entries[place] for place in positions.tolist()], self.images.select(positions))


def load(config: Data) -> Loaded:
    """Reads the images and texts of all splits.

    Where there is nothing but one folder, a share is held out for the test split; a missing validation split is left to
    the caller. The alphabet is that of the whole training split, so that it depends on no seed.

    Args:
        config: The data set.

    Raises:
        FileNotFoundError: if the folder or an image does not exist.
        ValueError: if there is no label file, or it is invalid, or holds texts that cannot be learned.
    """
    found = find(config.root, config.text.from_name)
    splits, unused = _open(found, config)
    if "test" not in splits:
        [whole] = splits.values()
        learned, tested = held_out(whole.images, config.text.test_fraction, _TEST_SEED, "test")
        splits = {"train": whole.select(learned), "test": whole.select(tested)}
    alphabet = alphabets.make(config.text, splits["train"].entries)
    files = [found[name].describe() for name in ("all", *SPLITS) if name in found]
    notes = [f"texts: {', '.join(files)}"]
    splits, dropped = _learnable(splits, alphabet, config)
    images = {name: part.images for name, part in splits.items()}
    notes += [*dropped, *_remarks(images, unused)]
    own = {"train", *found}  # of what is held out, the training images tell
    images = {name: part if name in own else replace(part, left_out=()) for name, part in images.items()}
    return Loaded(alphabet, images, notes)


def _open(found: Mapping[str, Found], config: Data) -> tuple[dict[str, _Part], int]:
    """Opens what the label files name; returns it and the number of images without a text next to them.

    Raises:
        ValueError: if an image is in two splits.
    """
    skip, root = config.on_error == "skip", Path(config.root).expanduser()
    cache = root / CACHE
    listed = {name: list_texts(each, config.text, cache, missing=skip) for name, each in found.items()}
    folders = {folder: count for each in listed.values() for folder, count in each.folders.items()}
    splits: dict[bytes, str] = {}
    for name, each in listed.items():
        for file in each.files:
            if splits.setdefault(file, name) != name:
                raise ValueError(f"'{os.fsdecode(file)}' is in {splits[file]} and in {name}; an image is in one split")
    bits = config.bits or find_bits(listed["train" if "train" in listed else "all"])
    if skip:
        kinds = {"all": "labelled"}
        listed = {name: without_broken(each, kinds.get(name, name), cache, bits) for name, each in listed.items()}
    boxes = config.text.unit == "character"
    parts = {
        name: _Part(each.entries, open_images(each, root, config.cache, bits, boxes=boxes))
        for name, each in listed.items()
    }
    return parts, max(sum(folders.values()) - len(splits), 0)


def _learnable(splits: Mapping[str, _Part], alphabet: Alphabet, config: Data) -> tuple[dict[str, _Part], list[str]]:
    """Returns the splits without the texts that cannot be learned, and lines that count them.

    Raises:
        ValueError: if there are any, and ``data.text.unknown`` is ``error``; or if nothing else remains.
    """
    most, kept, notes = alphabets.longest(config.text), {}, []
    for name, part in splits.items():
        faults = {i: why for i, entry in enumerate(part.entries) if (why := alphabets.fault(entry, alphabet, most))}
        first = next(iter(faults.values()), "")
        if faults and config.text.unknown == "error":
            more = f"; {len(faults) - 1:,} more {name} texts are like this" if len(faults) > 1 else ""
            raise ValueError(
                f"{first}{more}. Correct data.text.alphabet or longest, or leave such images out by data.text.unknown "
                "drop"
            )
        if len(faults) == len(part.entries):
            raise ValueError(f"data.text.unknown drop leaves no {name} images: {first}")
        if faults:
            notes.append(f"data.text.unknown drop: {len(faults):,} {name} texts are left out, the first: {first}")
        kept[name] = part.select(np.array([i for i in range(len(part.entries)) if i not in faults], np.int64))
    return kept, notes


def _remarks(images: Mapping[str, TextImages], unused: int) -> list[str]:
    empty = sum(not text for part in images.values() for text in part.texts)
    remarks = [f"images without a text in the same folders, not used: {unused:,}"] if unused else []
    return [*remarks, f"empty texts: {empty:,}"] if empty else remarks
