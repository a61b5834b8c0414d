"""Builds the data module of episodes: its splits, their classes and transforms."""

import hashlib
import warnings
from typing import Any

import torch

from cv_attention.config import Data
from cv_attention.config.bounds import check_bounds
from cv_attention.config.checking import check_source, check_statistics
from cv_attention.data.augmentation.transforms import Pipeline
from cv_attention.data.decoding import bit_depth
from cv_attention.data.episodes import opening
from cv_attention.data.episodes.classes import Classes
from cv_attention.data.episodes.episode_set import EpisodeSet
from cv_attention.data.identity import identity
from cv_attention.data.module import DataModule
from cv_attention.data.statistics import Statistics, statistics

# Options that other data sets have.
_UNUSED = ("options", "progressive", "balanced", "split_file", "subset", "mixup", "cutmix", "flip_test")


class EpisodeData(DataModule):
    """Episodes as the training sees them; see `EpisodeSet.batch` for what a batch holds.

    An episode shows T images in a row. With ``data.episodes.kind`` ``classify``, they are of a few classes, and no
    class is in two splits: what is learned is to remember the images of an episode, not the classes. With ``copy`` and
    ``associate``, all splits have the same classes and different images. Training episodes are other ones in every
    epoch; those of ``val`` and ``test`` depend on ``data.episodes.seed`` alone.

    Args:
        config: The data set, its splits and its transforms.
        seed: Seed of the training episodes and of the augmentation; None takes `config.seed`.

    Attributes:
        kind: ``classify``, ``copy`` or ``associate``.
        ways: Number of labels. This and all following attributes exist after `setup()`.
        class_names: What the labels stand for: the classes' names; for ``classify``, where they stand for other classes
            in every episode, ``class 1``, ``class 2``, ...
        class_names_of: Names of the classes of each split, which ``classes`` in a batch counts.
        longest: Number of images of the longest episode of any split.
        mean: Mean of the pixels in [0, 1] for red, green, blue: from the configuration, or else measured on the
            training images that are in memory, or else ImageNet's.
        std: Standard deviation of the pixels, likewise.
        image_size: (H, W) of evaluation images after their transforms.
        bits: Bit depth of images with more than 8 bits; None without such images.
        left_out: The errors of broken images that ``data.on_error`` left out, by split.
        splits: `train`, `val` and `test` as data sets; `splits["val"][i]` is one episode.

    Raises:
        ValueError: if a value of the configuration is wrong, or an option is set that episodes do not have.

    Examples:
        >>> from cv_attention import config
        >>> from cv_attention.data.episodes import EpisodeData
        >>> episodes = config.Episodes(ways=5, instances=2, train=20, val=10, test=10)
        >>> module = EpisodeData(config.Data(name="episodes", batch_size=4, episodes=episodes), seed=0)
        >>> module.setup()
        >>> batch = next(iter(module.train_dataloader()))
        >>> batch["images"].shape, batch["instances"].max().item()
        (torch.Size([4, 10, 3, 28, 28]), 2)
        >>> module.class_names_of["test"][:2]
        ['3', '3 turned by 90°']
    """

    kind: str
    ways: int
    class_names: list[str]
    class_names_of: dict[str, list[str]]
    longest: int
    splits: dict[str, EpisodeSet]

    def __init__(self, config: Data, *, seed: int | None = None) -> None:
        _check(config)
        super().__init__(
            batch_size=config.batch_size, workers=config.workers, seed=config.seed if seed is None else seed
        )
        self.config, self.kind = config, config.episodes.kind
        self._pipelines = {
            "train": Pipeline(config.train_transforms, "data.train_transforms"),
            "eval": Pipeline(config.eval_transforms, "data.eval_transforms"),
        }

    def prepare_data(self) -> None:
        """Downloads missing data; Lightning calls this once per machine."""
        if self.config.episodes.source in ("cifar10", "cifar100"):
            from cv_attention.data.sources import cifar

            cifar.download(self.config.episodes.source, self.config.root)

    def setup(self, stage: str | None = None) -> None:
        """Loads all splits, whatever the `stage`, and tries their transforms.

        Raises:
            FileNotFoundError: if the data does not exist; names the path.
            ValueError: if something is wrong with it, or transformed images have different sizes.
        """
        warnings.filterwarnings("ignore", ".*does not have many workers which may be a bottleneck.*")
        if self.splits:
            return
        every = opening.load(self.config)
        self.mean, self.std = _statistics(self.config, every["train"])
        splits = {name: self._episode_set(name, every[name]) for name in ("train", "val", "test")}
        sizes = {name: split.size() for name, split in splits.items()}
        self.class_names_of = {name: classes.names for name, classes in every.items()}
        self.ways = splits["train"].ways
        numbered = [f"class {number}" for number in range(1, self.ways + 1)]
        self.class_names = numbered if self.kind == "classify" else every["train"].names
        self.longest = max(self._longest(split) for split in splits.values())
        images = {name: classes.images for name, classes in every.items()}
        self.bits = self.config.bits or images["train"].bits
        self.left_out = {name: part.left_out for name, part in images.items() if part.left_out}
        self.image_size = sizes["test"]
        self.splits = splits

    @property
    def source(self) -> str:
        """The folder of the data set, or ``digits``."""
        return "digits" if self.config.episodes.source == "digits" else self.config.root

    def describe(self) -> str:
        """Returns the numbers of episodes and classes, and the image size; in a second line, the meaning of `bits`."""
        counts = ", ".join(f"{len(split):,} {name}" for name, split in self.splits.items())
        classes = ", ".join(f"{len(names)} {name}" for name, names in self.class_names_of.items())
        classes = f"{classes} classes" if self.kind == "classify" else f"{self.ways} classes"
        height, width = self.image_size
        what = f"episodes ({self.kind}, up to {self.longest} images of {classes}), {height}×{width}"
        line = f"{self.config.episodes.source}: {counts} {what}"
        return line if self.bits is None else f"{line}\n{bit_depth.describe(self.bits)}"

    def fingerprint(self) -> dict[str, Any]:
        """Counts and identifies the images and their classes."""
        splits = self.splits if self.kind == "classify" else ("train",)
        names = [name for split in splits for name in self.class_names_of[split]]
        found = identity(names, {name: split.classes.images for name, split in self.splits.items()})
        digests = "".join(_digest(split.classes) for split in self.splits.values())
        return {
            **found,
            "fingerprint": hashlib.sha256((found["fingerprint"] + digests).encode()).hexdigest()[:16],
            "episodes": {name: len(split) for name, split in self.splits.items()},
        }

    def described(self) -> dict[str, Any]:
        """Returns the fingerprint; the configuration says everything else."""
        return self.fingerprint()

    def _episode_set(self, name: str, classes: Classes) -> EpisodeSet:
        training = name == "train"
        pipeline, seed = self._pipelines["train" if training else "eval"], self.config.episodes.seed
        return EpisodeSet(name, classes, self.config.episodes, pipeline, self.seed if training else seed)

    def _longest(self, split: EpisodeSet) -> int:
        config = self.config.episodes
        lengths = {"classify": config.ways * config.instances, "associate": 2 * config.ways + 1}
        return lengths.get(self.kind, split.length[1])


def _check(config: Data) -> None:
    check_source(config.name)
    check_bounds(config, "data.")
    check_statistics(config.mean, config.std)
    default, episodes = Data(), config.episodes
    for option in _UNUSED:
        if getattr(config, option) != getattr(default, option):
            raise ValueError(
                f"data.{option} is {getattr(config, option)}, but data.name {config.name} does not have it"
            )
    if episodes.shortest > episodes.longest:
        raise ValueError(f"data.episodes.shortest must be at most longest={episodes.longest}, got {episodes.shortest}")
    if episodes.source == "digits" and config.root != default.root:
        raise ValueError(
            f"data.root is '{config.root}', but data.episodes.source is digits, which need no folder; did you mean "
            "source 'folder'?"
        )
    if episodes.rotations and (episodes.source == "digits" or episodes.kind != "classify"):
        raise ValueError(
            f"data.episodes.rotations makes new classes of the kind classify from images of other sources, got kind "
            f"{episodes.kind} and source {episodes.source}"
        )


def _statistics(config: Data, train: Classes) -> tuple[Statistics, Statistics]:
    """Returns mean and standard deviation of red, green and blue, to four digits; see `EpisodeData`."""
    if train.images.pixels is None:
        return statistics(config, train.images)
    rows = torch.from_numpy(train.images.rows)
    counts = [torch.bincount(train.images.pixels[rows, ..., colour].flatten().int()).double() for colour in range(3)]
    mean, std = _moments(counts)
    return _triple(config.mean or mean), _triple(config.std or std)


def _moments(counts: list[torch.Tensor]) -> tuple[list[float], list[float]]:
    means, deviations = [], []
    for count in counts:
        values = torch.arange(len(count)).double() / 255
        mean = (count * values).sum() / count.sum()
        deviation = ((count * (values - mean) ** 2).sum() / count.sum()).sqrt()
        means.append(round(float(mean), 4))
        deviations.append(max(round(float(deviation), 4), 1e-3))  # of images of one colour
    return means, deviations


def _triple(values: list[float]) -> Statistics:
    return values[0], values[1], values[2]


def _digest(classes: Classes) -> str:
    """Returns 64 hexadecimal digits of which images each class of a split has, in any order."""
    sizes = zip(classes.names, classes.members, strict=True)
    return hashlib.sha256("\n".join(sorted(f"{name} {len(of)}" for name, of in sizes)).encode()).hexdigest()
