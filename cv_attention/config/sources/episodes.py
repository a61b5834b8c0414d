"""Configures episodes: sequences of images to be remembered."""

from dataclasses import dataclass
from typing import Literal

from cv_attention.config.bounds import bounded


@dataclass
class Episodes:
    """Configures the episodes that are drawn if ``data.name`` is ``episodes``.

    Attributes:
        kind: What an episode asks for. ``classify``: images of a few classes in random order, each to be named before
            its label is shown; the classes of train, val and test differ. ``copy``: a sequence of images, to be named
            in order after its end. ``associate``: pairs of images, then another image of one of the first of them,
            whose partner is to be named.
        source: Where the images come from: ``digits`` (scikit-learn's, turned, mirrored and sheared into new classes),
            ``folder`` (``data.root``, a folder for each class, or folders of such folders), ``cifar10`` or
            ``cifar100``.
        ways: Number of classes of an episode; for ``associate`` the number of pairs.
        instances: Number of images of each class in an episode; for ``classify``.
        shortest: Fewest images of a training sequence; for ``copy``. All lengths from here on are equally frequent.
        longest: Most images of a training sequence; for ``copy``.
        test_length: Number of images of every validation and test sequence; null is `longest`. For ``copy``.
        rotations: Whether every class turned by 90, 180 and 270 degrees is three more classes; for ``classify`` with
            images from ``folder``. No class has turns in two splits.
        side: Side of the images in pixels: they are resized once, short side first, and their centre is kept in
            memory. Null leaves them to the transforms; digits are drawn with 28 pixels then.
        train: Number of episodes of an epoch; every epoch draws other ones.
        val: Number of validation episodes, which are always the same.
        test: Number of test episodes, which are always the same.
        test_fraction: Share of the classes that are the test split; for ``classify`` where the folders do not say so.
            ``data.val_fraction`` is the share of the remaining classes held out for validation.
        seed: Seed of the validation and test episodes, and of the division of the digits' images between the splits;
            ``data.seed`` decides the division of classes.

    Examples:
        >>> from cv_attention.config import Data, Episodes
        >>> omniglot = Episodes(source="folder", ways=20, instances=2, rotations=True, side=28)
        >>> Data(name="episodes", root="omniglot", episodes=omniglot).episodes.kind
        'classify'
    """

    kind: Literal["classify", "copy", "associate"] = "classify"
    source: Literal["digits", "folder", "cifar10", "cifar100"] = "digits"
    ways: int = bounded(5, "[2, 1000]")
    instances: int = bounded(4, "[2, 1000]")
    shortest: int = bounded(1, "[1, 1000]")
    longest: int = bounded(8, "[1, 1000]")
    test_length: int | None = bounded(None, "[1, 1000]")
    rotations: bool = False
    side: int | None = bounded(None, "[8, 512]")
    train: int = bounded(2_000, "[1, inf)")
    val: int = bounded(200, "[1, inf)")
    test: int = bounded(600, "[1, inf)")
    test_fraction: float = bounded(0.2, "(0, 1)")
    seed: int = bounded(0, "[0, inf)")
