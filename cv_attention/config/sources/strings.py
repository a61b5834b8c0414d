"""Configures the drawn strings of digits."""

from dataclasses import dataclass

from cv_attention.config.bounds import bounded


@dataclass
class Strings:
    """Configures the strings of handwritten digits that are drawn if ``data.name`` is ``digit_strings``.

    Attributes:
        train: Number of training images.
        val: Number of validation images.
        test: Number of test images.
        height: Height of the images in pixels.
        width: Width of the images in pixels.
        longest: Most digits of a string; all lengths from 1 on are equally frequent.
        smallest: Least side of a digit in pixels.
        largest: Greatest side of a digit in pixels.
        jitter: How far a digit lies at most above or below its line, in pixels.
        clutter: Number of fragments of other digits on each image.
        seed: Seed of the drawing; the same seed draws the same images.

    Examples:
        >>> from cv_attention.config import Data, Strings
        >>> Data(name="digit_strings", strings=Strings(train=1000, longest=3)).strings.width
        128
    """

    train: int = bounded(8_000, "[10, inf)")
    val: int = bounded(1_000, "[10, inf)")
    test: int = bounded(2_000, "[10, inf)")
    height: int = bounded(48, "[8, inf)")
    width: int = bounded(128, "[8, inf)")
    longest: int = bounded(5, "[1, 1000]")
    smallest: int = bounded(17, "[8, inf)")
    largest: int = bounded(23, "[8, inf)")
    jitter: int = bounded(3, "[0, inf)")
    clutter: int = bounded(6, "[0, inf)")
    seed: int = bounded(0, "[0, inf)")
