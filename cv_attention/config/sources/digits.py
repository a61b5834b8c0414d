"""Configures data that are drawn, cluttered digits and bags of digits, and bags in general."""

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
        least: Least number of digits on an image where ``data.targets`` is not ``single``.
        most: Largest number of them. The classes of an image are then its digits, which differ from each other; as a
            number it has their count.
        plain: Whether to take scikit-learn's digits as they are, each once, 8x8; no other field but the seed is then
            allowed.
        seed: Seed of the drawing; the same seed draws the same images.

    Examples:
        >>> from cv_attention.config import Data, Digits
        >>> Data(digits=Digits(train=1000, canvas=32, digit=16)).digits
        Digits(train=1000, val=1000, test=2000, canvas=32, digit=16, clutter=8, least=1, most=4, plain=False, seed=0)
    """

    train: int = bounded(8_000, "[10, inf)")
    val: int = bounded(1_000, "[10, inf)")
    test: int = bounded(2_000, "[10, inf)")
    canvas: int = 64
    digit: int = bounded(24, "[8, inf)")
    clutter: int = bounded(8, "[0, inf)")
    least: int = bounded(1, "[0, 10]")
    most: int = bounded(4, "[1, 10]")
    plain: bool = False
    seed: int = bounded(0, "[0, inf)")


@dataclass
class Bags:
    """Configures bags: many images with one label for all of them.

    Attributes:
        most: A training bag with more images than this is a random part of them, drawn again in every epoch; null takes
            all. Validation and test bags are always whole.
        train: Number of training bags that are drawn if ``data.name`` is ``digit_bags``; as all that follow.
        val: Number of validation bags.
        test: Number of test bags.
        mean: Mean number of digits of a bag.
        spread: Standard deviation of that number.
        positive: The digit that makes a bag positive.
        side: Side of each digit's image in pixels.
        seed: Seed of the drawing; the same seed draws the same bags.

    Examples:
        >>> from cv_attention.config import Bags, Data
        >>> Data(name="digit_bags", bags=Bags(train=200, positive=3)).bags.mean
        10.0
    """

    most: int | None = bounded(None, "[1, inf)")
    train: int = bounded(500, "[10, inf)")
    val: int = bounded(200, "[10, inf)")
    test: int = bounded(500, "[10, inf)")
    mean: float = bounded(10.0, "[1, 1000]")
    spread: float = bounded(2.0, "[0, 1000]")
    positive: int = bounded(9, "[0, 9]")
    side: int = bounded(28, "[8, 256]")
    seed: int = bounded(0, "[0, inf)")
