"""Makes classes of handwritten digits that no other split has, or the ten digits themselves.

The digits are scikit-learn's, so that nothing is downloaded. A digit, mirrored and turned by multiples of 90 degrees,
is up to eight classes. Poses that look like another class are left out: 0, 1 and 8 turned by 180 degrees look like
themselves, mirrored 2 like 5, a mirrored 3 like the 3 turned by 180 degrees, and 9 like 6.
"""

import numpy as np

from cv_attention.config import Episodes
from cv_attention.data.episodes.classes import Classes
from cv_attention.data.sources import digits
from cv_attention.data.sources.images import Images
from cv_attention.data.sources.memory import in_memory

_SIDE = 28  # pixels, where none is given
_QUARTERS = [(turn, False) for turn in range(4)]
_ALL = [(turn, mirrored) for mirrored in (False, True) for turn in range(4)]
_HALF = [(0, False), (1, False)]
# The poses of each digit: quarter turns to the left, and whether it is mirrored before.
POSES = {
    "train": {0: _HALF, 1: _HALF, 2: _QUARTERS, 5: _QUARTERS, 8: _HALF},
    "val": {6: _ALL},
    "test": {3: _QUARTERS, 4: _ALL, 7: _ALL},
}


def draw(config: Episodes) -> dict[str, Classes]:
    """Makes the classes of all splits.

    Args:
        config: For ``classify``, each split has other digits, and each training episode warps its classes in its own
            way; else the classes are the ten digits, and each split has other images of them.

    Returns:
        The classes of ``train``, ``val`` and ``test``.
    """
    pixels, labels = digits.load()
    side = config.side or _SIDE
    margin = side // 14  # warped digits need some room
    grey = np.pad(digits.enlarge(pixels, side - 2 * margin), ((0, 0), (margin, margin), (margin, margin)))
    images = in_memory(np.repeat(grey[..., None], 3, axis=3), labels)
    if config.kind == "classify":
        return {split: _posed(images, poses, warped=split == "train") for split, poses in POSES.items()}
    names = [str(digit) for digit in range(10)]
    sources = digits.split_sources(labels, config.seed)
    return {split: Classes.of(names, images.select(rows)) for split, rows in sources.items()}


def _posed(images: Images, poses: dict[int, list[tuple[int, bool]]], *, warped: bool) -> Classes:
    images = images.select(np.flatnonzero(np.isin(images.labels, list(poses))))
    every = [(digit, turn, mirrored) for digit, allowed in poses.items() for turn, mirrored in allowed]
    members = [np.flatnonzero(images.labels == digit) for digit, _, _ in every]
    turns, mirrored = np.array([turn for _, turn, _ in every]), np.array([flipped for _, _, flipped in every])
    return Classes(images, [_name(*each) for each in every], members, turns, mirrored, warped)


def _name(digit: int, turn: int, mirrored: bool) -> str:
    return f"{digit}{' mirrored' if mirrored else ''}{f' turned by {90 * turn}°' if turn else ''}"
