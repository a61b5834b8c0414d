"""Inspects a data set."""

import os
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from cv_attention.config import Data
from cv_attention.data.inspection.classes import of_classes
from cv_attention.data.inspection.facts import Facts, facts_of
from cv_attention.data.inspection.findings import SEVERITIES, Finding
from cv_attention.data.inspection.images import of_images
from cv_attention.data.inspection.items import Contents, list_any, list_folder
from cv_attention.data.inspection.names import of_names
from cv_attention.data.inspection.numbers import of_numbers, ranges
from cv_attention.data.inspection.repeated import repeated
from cv_attention.data.inspection.several import of_several


@dataclass(frozen=True)
class Inspection:
    """Holds what was found in a data set.

    Attributes:
        findings: Faults and peculiarities, errors first.
        images: Number of images in each split.
        classes: Number of images of each class; an image counts for each of its classes.
        numbers: Smallest, median and largest of each number, where images have numbers.
        sizes: Smallest, median and largest height and width; None without a usable image.
        mean: Mean of red, green and blue in [0, 1] over the training images, each image counting once.
        std: Standard deviation of the same.
        facts: What is known of every image.

    Examples:
        >>> from cv_attention import config
        >>> from cv_attention.data.inspection import inspect
        >>> digits = config.Digits(train=40, val=10, test=10)
        >>> inspection = inspect(config.Data(name="cluttered_digits", digits=digits))
        >>> inspection.images, inspection.sizes[0]
        ({'train': 40, 'val': 10, 'test': 10}, (64, 64))
    """

    findings: list[Finding]
    images: dict[str, int]
    classes: dict[str, int]
    numbers: dict[str, tuple[float, float, float]]
    sizes: tuple[tuple[int, int], tuple[int, int], tuple[int, int]] | None
    mean: tuple[float, ...]
    std: tuple[float, ...]
    facts: list[Facts] = field(repr=False, compare=False)

    @property
    def usable(self) -> bool:
        """Whether no error was found."""
        return all(each.severity != "error" for each in self.findings)


def inspect(config: Data, seen: Callable[[int, int], None] = lambda done, total: None) -> Inspection:
    """Reads every image of a data set once, and lists what is wrong or unusual.

    Args:
        config: The data set. A ``folder`` (or the folder of ``bags``) is listed as it is, with all of its faults;
            others are opened as for training.
        seen: Called with the number of images read so far and of all.

    Returns:
        What was found.

    Raises:
        FileNotFoundError: if the data set does not exist.
        ValueError: if another data set than a folder cannot be opened.

    Examples:
        >>> from pathlib import Path
        >>> from PIL import Image
        >>> from cv_attention import config
        >>> from cv_attention.data.inspection import inspect
        >>> for number, name in enumerate(["train/ant/1.png", "train/bee/1.png", "test/ant/2.png"]):
        ...     Path("insects", name).parent.mkdir(parents=True, exist_ok=True)
        ...     Image.new("RGB", (32, 32), (10 * number, 0, 0)).save(Path("insects", name))
        >>> [found.kind for found in inspect(config.Data(name="folder", root="insects")).findings]
        ['missing class', 'few images', 'constant']
    """
    contents = list_folder(config) if config.name in ("folder", "bags") else list_any(config)
    items = contents.items
    facts: list[Facts] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for each in pool.map(lambda item: facts_of(item, config.bits), items):
            facts.append(each)
            seen(len(facts), len(items))
    found = [*contents.findings, *repeated(facts, contents.targets), *_of_labels(facts, contents), *of_images(facts)]
    found.sort(key=lambda each: SEVERITIES.index(each.severity))  # stable
    usable = [each for each in facts if not each.error]
    mean, std = _statistics([each for each in usable if each.item.split in ("train", "all")])
    return Inspection(
        found,
        dict(Counter(each.item.split for each in facts)),
        dict(sorted(Counter(name for each in facts for name in each.item.classes).items())),
        ranges([each.item.numbers for each in facts], contents.names) if contents.targets == "numbers" else {},
        _sizes(usable),
        mean,
        std,
        facts,
    )


def _of_labels(facts: list[Facts], contents: Contents) -> list[Finding]:
    if contents.targets == "numbers":
        return of_numbers(facts, contents.names)
    if not contents.targets:
        return []
    several = of_several(facts, contents.names) if contents.targets == "multi" else []
    return [*of_classes(facts, contents.names), *of_names(facts, contents.names), *several]


def _statistics(facts: list[Facts]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    if not facts:
        return (), ()
    mean = np.mean([each.mean for each in facts], axis=0)
    square = np.mean([each.square for each in facts], axis=0)
    return tuple(mean.tolist()), tuple(np.sqrt(np.maximum(square - mean**2, 0)).tolist())


def _sizes(facts: list[Facts]) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]] | None:
    if not facts:
        return None
    sizes = np.array([(each.height, each.width) for each in facts])
    smallest, largest = sizes[sizes.prod(1).argmin()], sizes[sizes.prod(1).argmax()]
    middle = np.median(sizes, axis=0)
    return tuple((int(height), int(width)) for height, width in (smallest, middle, largest))  # pyright: ignore[reportReturnType]
