"""Builds the data module of every data set: its splits and their transforms."""

import warnings
from dataclasses import replace
from typing import Any

import numpy as np

from cv_attention.config import SOURCES, TORCHVISION, Data, is_source
from cv_attention.config.bounds import check_bounds
from cv_attention.config.checking import check_source, check_statistics, check_targets
from cv_attention.data.augmentation.transforms import Pipeline
from cv_attention.data.decoding import bit_depth
from cv_attention.data.guessing import other_kind
from cv_attention.data.identity import identity
from cv_attention.data.libraries import arrays, saved_datasets, torchvision_sets
from cv_attention.data.module import DataModule
from cv_attention.data.selection import folds
from cv_attention.data.several import digits as several
from cv_attention.data.sources import cifar, custom, digits, folder, subset, webdataset
from cv_attention.data.sources.image_set import ImageSet
from cv_attention.data.sources.images import Images
from cv_attention.data.sources.memory import in_memory
from cv_attention.data.statistics import statistics
from cv_attention.data.stratifying import strata
from cv_attention.data.tables import classes, coco, voc
from cv_attention.data.tables.targets import single_column

_LISTED = {"table": classes.load, "coco": coco.load, "voc": voc.load}


class ImageData(DataModule):
    """A data set as the training sees it.

    Batches are dicts of `image` uint8 (B, 3, H, W) in channels_last memory order, `label` and `index` int64
    (B,), and `box` float32 (B, 4) if the data set has boxes. Normalisation, `(image / 255
    - mean) / std`, is left to the device.

    CIFAR and folders without a validation split hold out a fraction of each class of train for validation,
    with the evaluation transforms. A folder with train and one other split tests on that other split
    (see `folder.py`).

    Batches are divided among processes here: run the trainer with `use_distributed_sampler=False`.

    Args:
        config: The data set, its splits and its transforms.
        seed: Seed of shuffling and augmentation; None takes `config.seed`.

    Attributes:
        class_names: Names of the classes, in the order of the labels, or of the numbers. This and all following
            attributes exist after `setup()`.
        num_classes: Number of classes.
        mean: Mean of the pixels in [0, 1] for red, green, blue: from the configuration, or else that of CIFAR, of the
            drawn digits, or of ImageNet for folders.
        std: Standard deviation of the pixels, likewise.
        image_size: (H, W) of evaluation images after their transforms.
        bits: Bit depth of images with more than 8 bits: from the configuration, or else from a sample; None without
            such images.
        left_out: The errors of broken images that ``data.on_error`` left out, by split.
        splits: `train`, `val` and `test` as data sets; `splits["val"][i]` is one sample.

    Raises:
        ValueError: if a value of the configuration, or the name or an argument of a transform, is wrong.
    """

    class_names: list[str]
    num_classes: int
    splits: dict[str, ImageSet]

    def __init__(self, config: Data, *, seed: int | None = None):
        _check(config)
        super().__init__(
            batch_size=config.batch_size, workers=config.workers, seed=config.seed if seed is None else seed
        )
        self.config = config
        boxes = config.name == "cluttered_digits" and config.targets == "single"
        self._pipelines = {
            "train": Pipeline(config.train_transforms, "data.train_transforms", boxes=boxes),
            "eval": Pipeline(config.eval_transforms, "data.eval_transforms", boxes=boxes),
        }

    def prepare_data(self) -> None:
        """Downloads missing data; Lightning calls this once per machine."""
        if self.config.name in ("cifar10", "cifar100"):
            cifar.download(self.config.name, self.config.root)
        elif self.config.name.startswith(TORCHVISION):
            name = self.config.name.removeprefix(TORCHVISION)
            torchvision_sets.download(name, self.config.root, self.config.options)

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
        names, images = load(self.config)
        if "val" not in images or self.config.split_file:
            images["train"], images["val"] = _hold_out(images["train"], self.config)
        self.mean, self.std = statistics(self.config, images["train"])
        images["train"] = images["train"].select(subset.thin(images["train"].labels, self.config.subset))
        splits = {name: self._image_set(name, images[name]) for name in ("train", "val", "test")}
        sizes = {name: split.size() for name, split in splits.items()}
        self.class_names, self.num_classes = names, len(names)
        self.bits = self.config.bits or images["train"].bits
        self.left_out = {name: part.left_out for name, part in images.items() if part.left_out}
        self.image_size = sizes["test"]
        self.splits = splits

    def describe(self) -> str:
        """Returns the numbers of images and classes, and the image size; in a second line, the meaning of `bits`."""
        train, val, test = (f"{len(self.splits[name]):,} {name}" for name in ("train", "val", "test"))
        height, width = self.image_size
        what = f"{self.num_classes} classes"
        if self.config.targets == "multi":
            each = self.training_targets().sum(1).mean()
            what += f", {each:.2f} of them each"
        elif self.config.targets == "numbers":
            what = ", ".join(self.class_names) if self.num_classes < 6 else f"{self.num_classes} numbers"
        line = f"{self.config.name}: {train}, {val}, {test} images of {what}, {height}×{width}"
        return line if self.bits is None else f"{line}\n{bit_depth.describe(self.bits)}"

    def balancing_labels(self) -> np.ndarray | None:
        """Returns the labels of the training images where ``data.balanced`` is set."""
        return strata(self.splits["train"].images.labels) if self.config.balanced else None

    def training_targets(self) -> np.ndarray:
        """Returns the labels of the training images, see `Images`."""
        return self.splits["train"].images.labels

    @property
    def source(self) -> str:
        """The folder of the data set."""
        return self.config.root

    def fingerprint(self) -> dict[str, Any]:
        """Counts and identifies the images; see `identity`."""
        images = {name: split.images for name, split in self.splits.items()}
        return identity(self.class_names, images, self.config.split_file)

    def described(self) -> dict[str, Any]:
        """Returns the fingerprint; the configuration says everything else."""
        return self.fingerprint()

    def _image_set(self, name: str, images: Images) -> ImageSet:
        return ImageSet(name, images, self._pipelines["train" if name == "train" else "eval"], self.seed)


def _check(config: Data) -> None:
    check_source(config.name)
    if config.options and config.name in SOURCES:
        raise ValueError(f"data.options is for a data set of your own, but data.name is {config.name!r}")
    check_bounds(config, "data.")
    check_statistics(config.mean, config.std)
    check_targets(config)
    if config.cache is not None and config.name == "webdataset":
        raise ValueError("data.cache works only with data.name folder; write the shards with smaller images instead")
    if config.cache is not None and (config.name in ("arrays", "datasets") or config.name.startswith(TORCHVISION)):
        raise ValueError(f"data.cache works only with images in files of their own, but data.name is {config.name!r}")
    subset.check(config.subset)
    if config.name == "cluttered_digits":
        digits.check(config.digits)
        if config.root != Data.root:
            hint = other_kind(config.root, config.name)
            if not hint.startswith("; it is"):  # a near name would be of no use yet
                hint = "; for images of your own set data.name, such as folder or table"
            raise ValueError(f"data.root is '{config.root}', but cluttered digits are generated{hint}")


def load(config: Data) -> tuple[list[str], dict[str, Images]]:
    """Returns the chosen classes and their images in every split of the data set; ``val`` may be missing."""
    names, images = _read(config)
    return names, _tested(images, config)


def _read(config: Data) -> tuple[list[str], dict[str, Images]]:
    alone = config.test_fraction is not None
    if config.name == "folder":
        skip = config.on_error == "skip"
        return folder.load(config.root, config.subset, config.cache, config.bits, skip=skip, alone=alone)
    if config.name == "webdataset":
        skip = config.on_error == "skip"
        field = single_column(config)
        return webdataset.load(config.root, config.subset, config.bits, skip=skip, alone=alone, field=field)
    if config.name in _LISTED:
        return _LISTED[config.name](config)
    if config.name == "cluttered_digits":
        names, images = _drawn(config)
    elif config.name == "arrays":
        names, images = arrays.load(config)
    elif config.name == "datasets":
        names, images = saved_datasets.load(config)
    elif config.name.startswith(TORCHVISION):
        name, skip = config.name.removeprefix(TORCHVISION), config.on_error == "skip"
        names, images = torchvision_sets.load(name, config.root, config.options, skip=skip)
    elif not is_source(config.name):
        names, images = custom.load(config.name, config.root, config.options, config.bits, config.targets)
    else:
        names, images = cifar.load(config.name, config.root)
    chosen = subset.choose_classes(names, config.subset)
    if chosen == names:
        return names, images
    if config.targets == "multi":
        columns = [names.index(name) for name in chosen]
        return chosen, {name: replace(part, labels=part.labels[:, columns]) for name, part in images.items()}
    # Maps old class labels to new ones, -1 for classes that are left out.
    labels = np.array([chosen.index(name) if name in chosen else -1 for name in names])
    return chosen, {name: _relabel(part, labels[part.labels]) for name, part in images.items()}


def _drawn(config: Data) -> tuple[list[str], dict[str, Images]]:
    names = [str(digit) for digit in range(10)]
    if config.targets == "single":
        return names, {name: in_memory(*drawn) for name, drawn in digits.draw(config.digits).items()}
    images = several.draw(config.digits)
    if config.targets == "multi":
        return names, images
    counts = {name: part.labels.sum(1, keepdims=True).astype(np.float32) for name, part in images.items()}
    return ["digits"], {name: replace(part, labels=counts[name]) for name, part in images.items()}


def _tested(images: dict[str, Images], config: Data) -> dict[str, Images]:
    """Holds out the test split where the data set has none."""
    fraction = config.test_fraction
    if "test" in images:
        return images
    if fraction is None:
        raise ValueError(
            f"'{config.root}' has no test images: set data.test_fraction, such as 0.2, to hold out that share of each "
            "class"
        )
    train = images["train"]
    kept, held = subset.hold_out(train.labels, fraction, config.seed, train.groups)
    if not len(held):
        raise ValueError(f"no test images can be held out of {len(train)} images of as many classes")
    return images | {"train": train.select(kept), "test": train.select(held)}


def _relabel(images: Images, labels: np.ndarray) -> Images:
    kept = np.flatnonzero(labels >= 0)
    selected = images.select(kept)
    selected.labels[:] = labels[kept]
    return selected


def _hold_out(images: Images, config: Data) -> tuple[Images, Images]:
    if config.split_file:
        kept, held = folds.read(config.split_file, config.fold, images.labels)
    else:
        kept, held = subset.hold_out(images.labels, config.val_fraction, config.seed, images.groups)
    if not len(held):
        raise ValueError(f"no validation images can be held out of {len(images)} training images of as many classes")
    return images.select(kept), images.select(held)
