"""Builds the data module of bags: its splits, their transforms and statistics."""

import hashlib
from typing import Any

import numpy as np

from cv_attention.config import Data
from cv_attention.config.bounds import check_bounds
from cv_attention.config.checking import check_source, check_statistics
from cv_attention.data.augmentation.transforms import Pipeline
from cv_attention.data.bags import digit_bags, folders
from cv_attention.data.bags.bag_set import Bags, BagSet
from cv_attention.data.identity import identity
from cv_attention.data.module import DataModule
from cv_attention.data.selection import folds
from cv_attention.data.sources import subset
from cv_attention.data.statistics import statistics


class BagData(DataModule):
    """Bags of images as the training sees them; see `BagSet.batch` for what a batch holds.

    ``bags`` reads ``root/{train,val,test}/<class>/<bag>/<image>``; ``digit_bags`` draws bags of handwritten digits.
    Without a validation split, a share of every class's training bags is held out; with ``split_file``, the bags of one
    fold. Transforms are those of the single
    images, which must all have one size behind them.

    Args:
        config: The data set, its splits and its transforms.
        seed: Seed of shuffling and augmentation; None takes `config.seed`.

    Attributes:
        class_names: Names of the classes, in the order of the labels; exists after `setup()`, as those of `DataModule`.
        num_classes: Number of classes.

    Raises:
        ValueError: if a value of the configuration is wrong, or an option is set that bags do not have.

    Examples:
        >>> from cv_attention import config
        >>> from cv_attention.data.bags import BagData
        >>> bags = config.Bags(train=20, val=10, test=10, side=16)
        >>> module = BagData(config.Data(name="digit_bags", batch_size=4, bags=bags), seed=0)
        >>> module.setup()
        >>> module.class_names
        ['without 9', 'with 9']
        >>> next(iter(module.val_dataloader()))["keep"].shape[0]
        4
    """

    class_names: list[str]
    num_classes: int
    splits: dict[str, BagSet]

    def __init__(self, config: Data, *, seed: int | None = None) -> None:
        _check(config)
        super().__init__(
            batch_size=config.batch_size, workers=config.workers, seed=config.seed if seed is None else seed
        )
        self.config = config
        self._pipelines = {
            "train": Pipeline(config.train_transforms, "data.train_transforms"),
            "eval": Pipeline(config.eval_transforms, "data.eval_transforms"),
        }

    def setup(self, stage: str | None = None) -> None:
        """Loads all splits, whatever the `stage`, and tries their transforms.

        Raises:
            FileNotFoundError: if the data does not exist; names the path.
            ValueError: if something is wrong with it, or transformed images have different sizes.
        """
        if self.splits:
            return
        names, bags = load(self.config)
        if self.config.split_file or "val" not in bags:
            bags["train"], bags["val"] = _hold_out(bags["train"], self.config)
        bags["train"] = bags["train"].select(subset.thin(bags["train"].labels, self.config.subset))
        self.mean, self.std = statistics(self.config, bags["train"].instances)
        splits = {name: self._bag_set(name, bags[name]) for name in ("train", "val", "test")}
        sizes = [_try(split) for split in splits.values()]
        self.class_names, self.num_classes = names, len(names)
        self.bits = self.config.bits or bags["train"].instances.bits
        self.left_out = {name: part.instances.left_out for name, part in bags.items() if part.instances.left_out}
        self.image_size = sizes[-1]
        self.splits = splits

    @property
    def source(self) -> str:
        """The folder of the data set."""
        return self.config.root

    def describe(self) -> str:
        """Returns the numbers of bags and of their images, and the images' size."""
        counts = ", ".join(f"{len(split):,} {name}" for name, split in self.splits.items())
        images = sum(len(split.instances) for split in self.splits.values())
        height, width = self.image_size
        what = f"bags of {self.num_classes} classes with {images:,} images"
        return f"{self.config.name}: {counts} {what}, {height}×{width}"

    def fingerprint(self) -> dict[str, Any]:
        """Counts and identifies the images and how they are divided into bags."""
        instances = {name: split.images.instances for name, split in self.splits.items()}
        found = identity(self.class_names, instances, self.config.split_file)
        digests = [self.splits[name].images.digest() for name in ("train", "val", "test")]
        return {
            **found,
            "fingerprint": hashlib.sha256("".join([found["fingerprint"], *digests]).encode()).hexdigest()[:16],
            "bags": {name: len(split) for name, split in self.splits.items()},
        }

    def described(self) -> dict[str, Any]:
        """Returns the fingerprint; the configuration says everything else."""
        return self.fingerprint()

    def _bag_set(self, name: str, bags: Bags) -> BagSet:
        training = name == "train"
        pipeline = self._pipelines["train" if training else "eval"]
        return BagSet(name, bags, pipeline, self.seed, self.config.bags.most if training else None)


def load(config: Data) -> tuple[list[str], dict[str, Bags]]:
    """Reads or draws the bags of a configuration, as its splits are before any of them is held out."""
    return digit_bags.draw(config.bags) if config.name == "digit_bags" else folders.load(config)


def _hold_out(bags: Bags, config: Data) -> tuple[Bags, Bags]:
    """Holds out validation bags: a fold, or a share of every class."""
    if config.split_file:
        kept, held = folds.read(config.split_file, config.fold, bags.labels)
    else:
        kept, held = subset.hold_out(bags.labels, config.val_fraction, config.seed)
    if not len(held):
        raise ValueError(f"no validation bags can be held out of {len(bags)} training bags")
    return bags.select(kept), bags.select(held)


def _check(config: Data) -> None:
    check_source(config.name)
    check_bounds(config, "data.")
    check_statistics(config.mean, config.std)
    default = Data()
    for option in ("options", "progressive", "balanced"):
        if getattr(config, option) != getattr(default, option):
            raise ValueError(
                f"data.{option} is {getattr(config, option)}, but data.name {config.name} does not have it"
            )
    if config.name == "digit_bags" and config.root != default.root:
        raise ValueError(
            f"data.root is '{config.root}', but bags of digits are generated; did you mean data.name 'bags'?"
        )


def _try(split: BagSet) -> tuple[int, int]:
    """Transforms a few bags of a split as one batch; returns the (H, W) of their images."""
    tried = sorted({int(index) for index in np.linspace(0, len(split) - 1, 4)})
    height, width = split.batch([(0, index) for index in tried])["image"].shape[3:]
    return height, width
