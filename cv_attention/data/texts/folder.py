"""Reads a folder of images with a label file: its splits, its alphabet, and what is left out of it."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cv_attention.alphabet import Alphabet
from cv_attention.config import Data
from cv_attention.data.sources.subset import hold_out
from cv_attention.data.texts import alphabets
from cv_attention.data.texts.label_files.labels import Entry
from cv_attention.data.texts.label_files.table import SPLITS, Found, find
from cv_attention.data.texts.listed import find_bits, list_texts, open_images, without_broken
from cv_attention.data.texts.text_images import TextImages

_TEST_SEED = 0  # of the test images, which no setting but their share may change


class Loaded(NamedTuple):
    """A data set of texts: its alphabet, the images of ``train``, ``val`` and ``test``, and lines that describe it."""

    alphabet: Alphabet
    images: dict[str, TextImages]
    notes: list[str]


class _Part(NamedTuple):
    """Images of one split, and where their texts come from."""

    entries: list[Entry]
    images: TextImages

    def select(self, positions: np.ndarray) -> "_Part":
        return _Part([self.entries[place] for place in positions.tolist()], self.images.select(positions))

    def divide(self, fraction: float, seed: int, split: str) -> tuple["_Part", "_Part"]:
        """Holds out a share of the images, each with all of its texts."""
        images, places = np.unique(self.images.rows, return_inverse=True)
        _, held = hold_out(np.zeros(len(images), np.int64), fraction, seed)
        if not len(held):
            raise ValueError(f"no {split} images can be held out of {len(images)}")
        chosen = np.isin(places, held)
        return self.select(np.flatnonzero(~chosen)), self.select(np.flatnonzero(chosen))


def load(config: Data) -> Loaded:
    """Reads the images and texts of all splits.

    Where there is no validation split, a share of the training images is held out for it, and where there is nothing
    but one folder, first of all a share for the test split. The alphabet is that of the training split before images
    are held out for validation, so that it depends on no seed.

    Args:
        config: The data set.

    Raises:
        FileNotFoundError: if the folder or an image does not exist.
        ValueError: if there is no label file, or it is invalid, or holds texts that cannot be learned.
    """
    found = find(config.root, config.text.from_name)
    parts = _open(found, config)
    unused = sum(count for _, count in parts.values())
    splits = {name: part for name, (part, _) in parts.items()}
    if "test" not in splits:
        [whole] = splits.values()
        learned, tested = whole.divide(config.text.test_fraction, _TEST_SEED, "test")
        splits = {"train": learned, "test": tested}
    alphabet = alphabets.make(config.text, splits["train"].entries)
    files = [found[name].describe() for name in ("all", *SPLITS) if name in found]
    notes = [f"texts: {', '.join(files)}"]
    splits, dropped = _learnable(splits, alphabet, config)
    if "val" not in splits:
        splits["train"], splits["val"] = splits["train"].divide(config.val_fraction, config.seed, "validation")
    images = {name: splits[name].images for name in SPLITS}
    notes += [*dropped, *_remarks(images, unused)]
    own = {"train", *found}  # of what is held out, the training images tell
    images = {name: part if name in own else replace(part, left_out=()) for name, part in images.items()}
    return Loaded(alphabet, images, notes)


def _open(found: Mapping[str, Found], config: Data) -> dict[str, tuple[_Part, int]]:
    skip, cache = config.on_error == "skip", Path(config.root).expanduser() / ".cv_attention"
    listed = {name: list_texts(each, config.text, cache, missing=skip) for name, each in found.items()}
    first = listed["train" if "train" in listed else "all"]
    bits = config.bits or find_bits(first)
    if skip:
        kinds = {"all": "labelled"}
        listed = {name: without_broken(each, kinds.get(name, name), cache, bits) for name, each in listed.items()}
    boxes = config.text.unit == "character"
    return {
        name: (_Part(each.entries, open_images(each, cache, config.cache, bits, boxes=boxes)), each.unused)
        for name, each in listed.items()
    }


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
    remarks = [f"{unused:,} images in the same folders have no text and are not used"] if unused else []
    return [*remarks, f"{empty:,} texts are empty"] if empty else remarks
