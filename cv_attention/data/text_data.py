"""Builds the data module of images that show texts."""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from cv_attention.alphabet import Alphabet
from cv_attention.config import Data, Transform
from cv_attention.config.bounds import check_bounds
from cv_attention.config.checking import check_statistics
from cv_attention.data.augmentation.transforms import Pipeline
from cv_attention.data.decoding import bit_depth
from cv_attention.data.identity import text_identity
from cv_attention.data.module import DataModule
from cv_attention.data.selection import folds
from cv_attention.data.sources import subset
from cv_attention.data.sources.memory import Memory
from cv_attention.data.statistics import DRAWN, statistics
from cv_attention.data.texts import digit_strings, folder
from cv_attention.data.texts.fitting import Fit
from cv_attention.data.texts.label_files.file_names import check_pattern
from cv_attention.data.texts.text_images import TextImages, held_out
from cv_attention.data.texts.text_set import TextSet

_DIGITS = "0123456789"
_MIRRORS = ("HorizontalFlip", "VerticalFlip", "Transpose", "D4", "SquareSymmetry")


class TextData(DataModule):
    """A data set of images with the texts that they show, as the training sees it.

    Batches are dicts of ``image`` uint8 (B, 3, H, W) in channels_last memory order, ``width``, ``tokens``, ``length``,
    ``index`` and, where the data set has them, ``boxes``; see `TextSet.batch`. Normalisation, ``(image / 255 - mean) /
    std``, is left to the device.

    Args:
        config: The data set, its splits and its transforms.
        seed: Seed of shuffling and augmentation; None takes `config.seed`.

    Attributes:
        alphabet: Numbers the units of the texts. This and all following attributes exist after `setup()`.
        padded: Whether images keep their aspect and are padded on the right; ``width`` then tells how far they reach.
        longest: Units of the longest text in any split, or ``data.text.longest``.
        mean: Mean of the pixels in [0, 1] for red, green, blue.
        std: Standard deviation of the pixels, likewise.
        image_size: (H, W) of evaluation images after their transforms.
        bits: Bit depth of images with more than 8 bits; None without such images.
        left_out: The errors of broken images that ``data.on_error`` left out, by split.
        splits: `train`, `val` and `test` as data sets; `splits["val"][i]` is one sample.

    Raises:
        ValueError: if a value of the configuration, or the name or an argument of a transform, is wrong.
    """

    alphabet: Alphabet
    longest: int
    padded: bool
    splits: dict[str, TextSet]

    def __init__(self, config: Data, *, seed: int | None = None):
        _check(config)
        super().__init__(
            batch_size=config.batch_size, workers=config.workers, seed=config.seed if seed is None else seed
        )
        self.config = config
        self._notes: list[str] = []
        for place in ("train_transforms", "eval_transforms"):
            _refuse_mirrors(getattr(config, place), f"data.{place}")
            Pipeline(getattr(config, place), f"data.{place}")  # reports mistakes before anything is loaded

    def setup(self, stage: str | None = None) -> None:
        """Loads all splits, whatever the stage, and tries their transforms, to report mistakes before training.

        Raises:
            FileNotFoundError: if the data does not exist; names the path.
            ValueError: if something is wrong with it, or transformed images of a split have different sizes.
        """
        # Loading small images in the training process measured fastest and is the default.
        warnings.filterwarnings("ignore", ".*does not have many workers which may be a bottleneck.*")
        if self.splits:
            return
        alphabet, images, self._notes = load(self.config)
        if "val" not in images or self.config.split_file:
            images["train"], images["val"] = _hold_out(images["train"], self.config)
        images = {name: images[name] for name in ("train", "val", "test")}
        self.mean, self.std = statistics(self.config, images["train"])
        kept = subset.thin(np.zeros(len(images["train"]), np.int64), self.config.subset)
        images["train"] = images["train"].select(kept)
        splits = {name: self._text_set(name, part, alphabet) for name, part in images.items()}
        sizes = {name: split.size() for name, split in splits.items()}
        self.alphabet, self.padded = alphabet, self.config.name not in DRAWN
        most = None if self.config.name in DRAWN else self.config.text.longest
        self.longest = most or max(int(split.lengths.max()) for split in splits.values())
        self.bits = self.config.bits or images["train"].bits
        self.left_out = {name: part.left_out for name, part in images.items() if part.left_out}
        self.image_size = sizes["test"]
        self.splits = splits

    def texts(self, split: str) -> Sequence[str]:
        """Returns the texts of a split, in the order of ``index``.

        Args:
            split: ``train``, ``val`` or ``test``.
        """
        return self.splits[split].images.texts

    def describe(self) -> str:
        """Returns the numbers of images and units, the length of the texts, and the image size.

        Further lines name the label files and their format, count what is left out, and tell the meaning of `bits`.
        """
        counts = ", ".join(f"{len(self.splits[name]):,} {name}" for name in ("train", "val", "test"))
        height, width = self.image_size
        units = f"texts of up to {self.longest} {self.alphabet.unit}s, alphabet of {len(self.alphabet.units)}"
        lines = [f"{self.config.name}: {counts} images, {units}, {height}×{width}", *self._notes]
        return "\n".join(lines if self.bits is None else [*lines, bit_depth.describe(self.bits)])

    @property
    def source(self) -> str:
        """The folder of the data set."""
        return self.config.root

    def fingerprint(self) -> dict[str, Any]:
        """Counts and identifies the images and texts."""
        return text_identity({name: split.images for name, split in self.splits.items()})

    def described(self) -> dict[str, Any]:
        """Returns the fingerprint; the configuration says everything else."""
        return self.fingerprint()

    def _text_set(self, name: str, images: TextImages, alphabet: Alphabet) -> TextSet:
        place = "train_transforms" if name == "train" else "eval_transforms"
        pipeline = Pipeline(getattr(self.config, place), f"data.{place}", boxes=images.boxes is not None)
        text = self.config.text
        fit = None if self.config.name in DRAWN else Fit(text.height, text.width)
        return TextSet(name, images, pipeline, self.seed, alphabet, fit)


def _check(config: Data) -> None:
    check_bounds(config, "data.")
    check_statistics(config.mean, config.std)
    _refuse_for_classes(config)
    subset.check(config.subset)
    if config.name in DRAWN:
        digit_strings.check(config.strings)
        if config.root != Data.root:
            raise ValueError(f"data.root is '{config.root}', but digit strings are generated and need no folder")
    elif config.text.from_name is not None:
        check_pattern(config.text.from_name)


def _refuse_for_classes(config: Data) -> None:
    """Refuses what needs a class for each image, or changes what a text says."""
    unused = {
        "data.options": (config.options, "for a data set of your own"),
        "data.mixup": (config.mixup, "for classes: two texts cannot be blended"),
        "data.cutmix": (config.cutmix, "for classes: two texts cannot be blended"),
        "data.balanced": (config.balanced, "for classes"),
        "data.flip_test": (config.flip_test, "for classes: mirrored text reads differently"),
        "data.progressive": (config.progressive, "for classes: the texts would become too small to read"),
        "data.subset.classes": (config.subset.classes, "for classes"),
        "data.subset.num_classes": (config.subset.num_classes, "for classes"),
        "data.subset.per_class": (config.subset.per_class, "for classes; data.subset.fraction takes a share"),
    }
    for name, (value, reason) in unused.items():
        if value:
            raise ValueError(f"{name} is {reason}, but data.name {config.name!r} has texts; got {value!r}")


def _refuse_mirrors(steps: list[Transform], place: str) -> None:
    """Refuses transforms that mirror an image, also within others."""
    for step in steps:
        name, arguments = next(iter(step.items())) if isinstance(step, dict) and step else (step, None)
        if name in _MIRRORS:
            raise ValueError(
                f"{place}: {name} mirrors images, but data.name is one of texts, which then read differently"
            )
        inner = arguments.get("transforms") if isinstance(arguments, dict) else None
        if isinstance(inner, list):
            _refuse_mirrors(inner, place)


def load(config: Data) -> folder.Loaded:
    """Reads or draws the images and texts of a data set; ``val`` is missing where it must be held out."""
    if config.name not in DRAWN:
        return folder.load(config)
    images = {
        name: TextImages(drawn.texts, np.arange(len(drawn.texts)), Memory(torch.from_numpy(drawn.images)), drawn.boxes)
        for name, drawn in digit_strings.draw(config.strings).items()
    }
    return folder.Loaded(Alphabet(_DIGITS), images, [])


def _hold_out(images: TextImages, config: Data) -> tuple[TextImages, TextImages]:
    """Divides training images: by a fold, or by ``data.val_fraction``."""
    if config.split_file:
        kept, held = folds.read(config.split_file, config.fold, images.checksums())
    else:
        kept, held = held_out(images, config.val_fraction, config.seed, "validation")
    return images.select(kept), replace(images.select(held), left_out=())
