"""Defines the facts of a data set that a trained network carries along."""

import math
from dataclasses import dataclass
from typing import Any

from cv_attention.alphabet import Alphabet

_LONGEST = 10_000  # units of a text
_LARGEST = 16_384  # pixels on a side of the images that a network takes


@dataclass(frozen=True)
class ImageFacts:
    """Holds what any network must know of its images.

    Attributes:
        mean: Mean of each colour channel, for pixels in [0, 1].
        std: Standard deviation of each colour channel.
        image_size: Height and width of the images in pixels.

    Examples:
        >>> from cv_attention.training import ImageFacts
        >>> ImageFacts(mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2), image_size=(32, 32)).check()
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    image_size: tuple[int, int]

    def check(self) -> None:
        """Raises ValueError where these cannot be the facts of a network."""
        _check_images(self)


@dataclass(frozen=True)
class DataFacts:
    """Holds what a classifier must know of its data set.

    Attributes:
        class_names: Name of each class, in the order of the logits.
        mean: Mean of each colour channel, for pixels in [0, 1].
        std: Standard deviation of each colour channel.
        image_size: Height and width of the images in pixels.
        class_ids: Other names of the same classes, such as WordNet's, by which a pretrained network's data are found;
            empty for a network trained here, whose data must have `class_names`.
        class_counts: Number of training images of each class; empty where unknown.
        images: Number of training images.

    Examples:
        >>> from cv_attention.training import DataFacts
        >>> facts = DataFacts(("cat", "dog"), mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2), image_size=(32, 32))
        >>> facts.check()
        >>> DataFacts((), facts.mean, facts.std, facts.image_size).check()
        Traceback (most recent call last):
            ...
        ValueError: facts.class_names must name classes, got none
    """

    class_names: tuple[str, ...]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    image_size: tuple[int, int]
    class_ids: tuple[str, ...] = ()
    class_counts: tuple[int, ...] = ()
    images: int = 0

    def check(self) -> None:
        """Raises ValueError where these cannot be the facts of a classifier."""
        if not self.class_names:
            raise ValueError("facts.class_names must name classes, got none")
        _check_images(self)
        if any(count < 0 for count in self.class_counts):
            raise ValueError(f"facts.class_counts must be numbers of images, got {min(self.class_counts)}")


@dataclass(frozen=True)
class LabelFacts(DataFacts):
    """Holds what a classifier must know of a data set whose images may have several classes each.

    Attributes:
        class_names: Name of each class, in the order of the logits.
        mean: Mean of each colour channel, for pixels in [0, 1].
        std: Standard deviation of each colour channel.
        image_size: Height and width of the images in pixels.
        class_ids: Empty; `DataFacts` has it.
        class_counts: Number of training images that have each class; empty where unknown.
        images: Number of training images.
        thresholds: Probability from which on an image counts as one of each class, chosen on the validation split;
            empty before any validation, which stands for 0.5.

    Examples:
        >>> from cv_attention.training import LabelFacts
        >>> LabelFacts(("cat", "dog"), (0.5, 0.5, 0.5), (0.2, 0.2, 0.2), (32, 32), thresholds=(0.4, 0.6)).check()
    """

    thresholds: tuple[float, ...] = ()

    def check(self) -> None:
        """Raises ValueError where these cannot be the facts of such a classifier."""
        super().check()
        if self.thresholds and len(self.thresholds) != len(self.class_names):
            raise ValueError(f"facts.thresholds must be one for each class, got {len(self.thresholds)}")
        if not all(0 <= threshold <= 1 for threshold in self.thresholds):
            raise ValueError(f"facts.thresholds must be in [0, 1], got {self.thresholds}")


@dataclass(frozen=True)
class ValueFacts:
    """Holds what a network that predicts numbers must know of its data set.

    Attributes:
        value_names: Name of each number, in the order of the outputs.
        mean: Mean of each colour channel, for pixels in [0, 1].
        std: Standard deviation of each colour channel.
        image_size: Height and width of the images in pixels.
        centre: Mean of each number over the training images: what an output of 0 stands for.
        scale: Standard deviation of each number over the training images: what an output of 1 is above that.

    Examples:
        >>> from cv_attention.training import ValueFacts
        >>> ValueFacts(("age",), (0.5, 0.5, 0.5), (0.2, 0.2, 0.2), (32, 32), centre=(41.0,), scale=(12.5,)).check()
    """

    value_names: tuple[str, ...]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    image_size: tuple[int, int]
    centre: tuple[float, ...]
    scale: tuple[float, ...]

    def check(self) -> None:
        """Raises ValueError where these cannot be the facts of such a network."""
        count = len(self.value_names)
        if not count or len(self.centre) != count or len(self.scale) != count:
            raise ValueError("facts must have a name, a centre and a scale for each number")
        if not all(math.isfinite(value) for value in (*self.centre, *self.scale)) or min(self.scale) <= 0:
            raise ValueError("facts.centre and facts.scale must be finite, and the scale above 0")
        _check_images(self)


@dataclass(frozen=True)
class TextFacts:
    """Holds what a network that reads must know of its data set.

    Attributes:
        units: The units of its alphabet, in the order of their numbers.
        unit: What a text is divided into: ``character``, ``grapheme`` or ``word``.
        longest: Units of the longest text that it writes.
        mean: Mean of each colour channel, for pixels in [0, 1].
        std: Standard deviation of each colour channel.
        image_size: Height and width of the images in pixels.
        padded: Whether images are narrower than `image_size` and padded on the right.

    Examples:
        >>> from cv_attention.training import TextFacts
        >>> facts = TextFacts(("a", "b"), "character", 8, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2), image_size=(32, 128))
        >>> facts.check()
    """

    units: tuple[str, ...]
    unit: str
    longest: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    image_size: tuple[int, int]
    padded: bool = False

    def check(self) -> None:
        """Raises ValueError where these cannot be the facts of a network that reads."""
        Alphabet(self.units, self.unit)  # pyright: ignore[reportArgumentType]
        if not 0 < self.longest <= _LONGEST:
            raise ValueError(f"facts.longest must be 1 to {_LONGEST:,} units, got {self.longest}")
        _check_images(self)


@dataclass(frozen=True)
class EpisodeFacts:
    """Holds what a network that recalls must know of its data set.

    Attributes:
        kind: What an episode asks for: ``classify``, ``copy`` or ``associate``.
        ways: Number of labels.
        length: Number of images of a test episode.
        mean: Mean of each colour channel, for pixels in [0, 1].
        std: Standard deviation of each colour channel.
        image_size: Height and width of the images in pixels.

    Examples:
        >>> from cv_attention.training import EpisodeFacts
        >>> facts = EpisodeFacts("classify", 5, 20, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2), image_size=(28, 28))
        >>> facts.check()
    """

    kind: str
    ways: int
    length: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    image_size: tuple[int, int]

    def check(self) -> None:
        """Raises ValueError where these cannot be the facts of a network that recalls."""
        if self.kind not in ("classify", "copy", "associate"):
            raise ValueError(f"facts.kind must be classify, copy or associate, got {self.kind!r}")
        for name, value in (("ways", self.ways), ("length", self.length)):
            if not 0 < value <= _LONGEST:
                raise ValueError(f"facts.{name} must be 1 to {_LONGEST:,}, got {value}")
        _check_images(self)


def _check_images(facts: Any) -> None:
    height, width = facts.image_size
    if not all(isinstance(side, int) and 0 < side <= _LARGEST for side in (height, width)):
        raise ValueError(f"facts.image_size must be at most {_LARGEST} pixels a side, got {height} x {width}")
    if not all(math.isfinite(value) for value in (*facts.mean, *facts.std)) or 0 in facts.std:
        raise ValueError(f"facts.mean and facts.std must be finite and std not 0, got {facts.mean} and {facts.std}")
