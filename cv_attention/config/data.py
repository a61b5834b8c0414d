"""Configures the images: the data set, its splits, transforms and batches."""

from dataclasses import dataclass, field
from typing import Any, Literal

from cv_attention.config.bounds import bounded
from cv_attention.config.sources.digits import Bags, Digits
from cv_attention.config.sources.episodes import Episodes
from cv_attention.config.sources.strings import Strings
from cv_attention.config.sources.table import Table
from cv_attention.config.sources.text import Text
from cv_attention.config.subset import Subset

Transform = str | dict[str, dict[str, Any]]
"""One step of an albumentations pipeline: a class name, ``HorizontalFlip``, or a class name with its arguments,
``{RandomCrop: {height: 32, width: 32, pad_if_needed: true}}``."""

SOURCES = (
    "cluttered_digits", "cifar10", "cifar100", "folder", "webdataset", "bags", "digit_bags", "digit_strings", "text",
    "episodes", "table", "coco", "voc", "arrays", "datasets",
)  # fmt: skip
"""Data sets that `Data.name` knows, next to ``torchvision/NAME``; any other name is the class path of a function."""

TORCHVISION = "torchvision/"
"""What the names of torchvision's built-in data sets begin with, such as ``torchvision/Flowers102``."""

TEXT_SOURCES = ("digit_strings", "text")
"""Those of `SOURCES` whose images show texts to be read, in place of classes."""

BAG_SOURCES = ("bags", "digit_bags")
"""Those of `SOURCES` with one label for all images of a bag."""


TARGET_SOURCES = ("table", "arrays", "datasets", "coco", "voc", "cluttered_digits")
"""Those of `SOURCES` that can have several classes for each image; all but ``coco`` and ``voc`` can have numbers."""


def is_source(name: str) -> bool:
    """Returns whether a ``data.name`` is a data set of the package, not the class path of a function.

    Args:
        name: The name.

    Returns:
        True for a name of `SOURCES` and for ``torchvision/NAME``.

    Examples:
        >>> from cv_attention.config import is_source
        >>> is_source("torchvision/Flowers102"), is_source("my_data.birds")
        (True, False)
    """
    return name in SOURCES or name.startswith(TORCHVISION)


@dataclass
class Data:
    """Configures the images: the data set, its splits, transforms and batches.

    Attributes:
        name: Data set: ``cluttered_digits``, ``cifar10``, ``cifar100``, ``folder``, ``webdataset``, ``bags``,
            ``digit_bags``, ``digit_strings``, ``text``, ``episodes``, ``table``, ``coco``, ``voc``, ``arrays``,
            ``datasets``, ``torchvision/NAME``, or the class path of a function of your own such as ``my_data.birds``,
            see ``docs/extending.md``. ``folder`` reads
            ``root/{train,val,test}/<class>/<image>``.
            Where there is only one split besides ``train``, it is the test split. ``webdataset`` reads tar shards,
            ``root/{train,val,test}-*.tar``. ``bags`` reads ``root/{train,val,test}/<class>/<bag>/<image>``, where a bag
            has one label for all of its images; ``digit_bags`` draws such bags. ``text`` reads a folder of images with
            a label file, see ``docs/reading.md``; ``digit_strings`` draws images of numbers to be read.
            ``episodes`` draws sequences of images to be remembered, see ``docs/few_shot.md``. ``table`` reads a table
            of paths and classes, such as ``labels.csv``, whose columns `table` names. ``coco`` and ``voc`` read the
            classes of annotated objects, ``arrays`` reads ``.npz`` files, ``datasets`` what Hugging Face's library
            saved on disk, and ``torchvision/Flowers102`` and its like torchvision's own sets.
        root: Folder of the data set, or where CIFAR is downloaded to.
        options: Further arguments of a function of your own, or of one of torchvision's sets.
        batch_size: Images in one optimizer step over all devices (before gradient accumulation).
        workers: Processes that load images; 0 loads in the main process, which is fastest for small images.
        cache: Decode a folder's files once, short side at most this many pixels, into a memory-mapped file in
            ``root/.cv_attention``; null decodes a file whenever it is used. Small images are in memory anyway.
        bits: Range of images of more than 8 bits: 12 means that 4095 is white in 16-bit files. Null finds it once for
            the whole data set, by a sample of its training images, and keeps it in the run.
        on_error: What a broken image does: ``raise`` ends the run with its name; ``skip`` decodes all images once
            before training, leaves the broken ones out, and names them.
        val_fraction: Share of the training split held out for validation where the data set brings no split of its own.
        test_fraction: Share of each class that is the test split where the data set brings none:
            ``root/<class>/<image>``, ``root/train`` alone, shards of train alone, or a table without splits. Null
            refuses such data.
        seed: Seed of the held-out splits; shuffling and augmentation follow the experiment's seed.
        train_transforms: albumentations steps on training images, in order; where the list is empty and the network
            starts from pretrained weights, `eval_transforms`.
        eval_transforms: albumentations steps on validation and test images, in order, and `ResizeAndCrop`. Where the
            list is empty and the network starts from pretrained weights, the resizing and cropping that they expect.
        mean: Mean of red, green and blue in [0, 1] that images are normalised with; null takes what pretrained weights
            expect, else the data set's.
        std: Standard deviation of the same.
        mixup: Alpha of mixup, which blends pairs of images and labels; 0 blends none, 0.2 is usual.
        cutmix: Alpha of CutMix, which pastes a part of one image into another; 0 pastes none, 1 is usual.
        progressive: Shorter side in pixels of the training images from an epoch on: ``{0: 128, 10: 160}``; empty keeps
            their size.
        targets: What is learned of each image: ``single``, its class; ``multi``, all classes that it has; ``numbers``,
            one or several numbers. The last two are for ``table``, ``arrays``, ``datasets``, ``cluttered_digits`` and
            functions of your own; ``coco`` and ``voc`` have several classes, but no numbers.
        balanced: Draw every class equally often in each epoch, however many images it has. With several classes per
            image, its rarest one counts; of numbers, tenths of the images by their value.
        flip_test: Average the logits of each validation and test image with those of its mirror image.
        split_file: File of folds that ``cv-attention folds`` wrote; null holds out `val_fraction`.
        fold: Which of its folds is the validation split, from 0 on.
        subset: Part of the data set.
        digits: Settings of the cluttered digits.
        strings: Settings of the drawn strings of digits.
        text: Settings of the texts of a folder with a label file.
        bags: Settings of bags.
        episodes: Settings of episodes.
        table: Columns of a table.

    Examples:
        >>> from cv_attention.config import Data
        >>> data = Data(name="folder", root="photos", batch_size=64, train_transforms=["HorizontalFlip"])
        >>> data.val_fraction  # a tenth of the training images is held out where there is no split of its own
        0.1
    """

    name: str = "cluttered_digits"
    root: str = "data"
    options: dict[str, Any] = field(default_factory=dict)
    batch_size: int = bounded(128, "[1, inf)")
    workers: int = bounded(0, "[0, 1024]")
    cache: int | None = bounded(None, "[1, inf)")
    bits: int | None = bounded(None, "[8, 16]")
    on_error: Literal["raise", "skip"] = "raise"
    val_fraction: float = bounded(0.1, "(0, 1)")
    test_fraction: float | None = bounded(None, "(0, 1)")
    seed: int = bounded(0, "[0, inf)")
    train_transforms: list[Transform] = field(default_factory=list)
    eval_transforms: list[Transform] = field(default_factory=list)
    mean: list[float] | None = None
    std: list[float] | None = None
    mixup: float = bounded(0.0, "[0, inf)")
    cutmix: float = bounded(0.0, "[0, inf)")
    progressive: dict[int, int] = field(default_factory=dict)
    targets: Literal["single", "multi", "numbers"] = "single"
    balanced: bool = False
    flip_test: bool = False
    split_file: str | None = None
    fold: int = bounded(0, "[0, inf)")
    subset: Subset = field(default_factory=Subset)
    digits: Digits = field(default_factory=Digits)
    strings: Strings = field(default_factory=Strings)
    text: Text = field(default_factory=Text)
    bags: Bags = field(default_factory=Bags)
    episodes: Episodes = field(default_factory=Episodes)
    table: Table = field(default_factory=Table)
