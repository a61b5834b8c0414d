"""Configures which part of the training split is used."""

from dataclasses import dataclass

from cv_attention.config.bounds import bounded


@dataclass
class Subset:
    """Configures which part of the training split is used; the choice depends on nothing but these values.

    Attributes:
        classes: Keep these classes, by name, in the order of the data set.
        num_classes: Keep this many classes, evenly spread over the sorted class names.
        per_class: Keep at most this many training images of each class.
        fraction: Keep this share of each class's training images, in (0, 1].

    Examples:
        >>> from cv_attention.config import Data, Subset
        >>> Data(name="cifar10", subset=Subset(classes=["cat", "dog"], per_class=500)).subset.per_class
        500
    """

    classes: list[str] | None = None
    num_classes: int | None = bounded(None, "[2, inf)")
    per_class: int | None = bounded(None, "[1, inf)")
    fraction: float | None = bounded(None, "(0, 1]")
