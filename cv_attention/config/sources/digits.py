"""Configures the cluttered digits."""

from dataclasses import dataclass

from cv_attention.config.bounds import bounded


@dataclass
class Digits:
    """Configures the cluttered digits that are drawn if ``data.name`` is ``cluttered_digits``.

    Attributes:
        train: Number of training images.
        val: Number of validation images.
        test: Number of test images.
        canvas: Side of the square image in pixels.
        digit: Mean side of the pasted digit in pixels; it varies by a sixth.
        clutter: Number of fragments of other digits on each image.
        seed: Seed of the drawing; the same seed draws the same images.

    Examples:
        >>> from cv_attention.config import Data, Digits
        >>> Data(digits=Digits(train=1000, canvas=32, digit=16)).digits
        Digits(train=1000, val=1000, test=2000, canvas=32, digit=16, clutter=8, seed=0)
    """

    train: int = bounded(8_000, "[10, inf)")
    val: int = bounded(1_000, "[10, inf)")
    test: int = bounded(2_000, "[10, inf)")
    canvas: int = 64
    digit: int = bounded(24, "[8, inf)")
    clutter: int = bounded(8, "[0, inf)")
    seed: int = bounded(0, "[0, inf)")
