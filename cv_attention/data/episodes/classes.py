"""Holds the classes that the episodes of one split are drawn from, and divides classes between the splits."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cv_attention.data.sources.images import Images


@dataclass(frozen=True)
class Classes:
    """Holds the classes of one split: which images each has, and how they are turned.

    Attributes:
        images: The images of the split; their labels mean nothing.
        names: Name of each of the C classes.
        members: For each class the positions of its images, int64.
        turns: int64 (C,), quarter turns to the left of the images of each class.
        mirrored: bool (C,), whether they are mirrored left to right before.
        warped: Whether every episode shears, scales and turns each of its classes in its own way, so that no two
            episodes have the same classes; for grey images.

    Examples:
        >>> import numpy as np
        >>> from cv_attention.data.episodes import Classes
        >>> from cv_attention.data.sources.memory import in_memory
        >>> images = in_memory(np.zeros((6, 8, 8, 3), np.uint8), np.array([0, 0, 0, 1, 1, 1]))
        >>> Classes.of(["a", "b"], images).rotated().names
        ['a', 'a turned by 90°', 'a turned by 180°', 'a turned by 270°', 'b', 'b turned by 90°', 'b turned by 180°', \
'b turned by 270°']
    """

    images: Images
    names: list[str]
    members: list[np.ndarray]
    turns: np.ndarray
    mirrored: np.ndarray
    warped: bool = False

    def __len__(self) -> int:
        return len(self.names)

    @classmethod
    def of(cls, names: Sequence[str], images: Images) -> "Classes":
        """Makes the classes of labelled images.

        Args:
            names: Name of each class, by label.
            images: The images; classes without any are left out.
        """
        members = {name: np.flatnonzero(images.labels == label) for label, name in enumerate(names)}
        members = {name: positions for name, positions in members.items() if len(positions)}
        upright = np.zeros(len(members), np.int64)
        return cls(images, list(members), list(members.values()), upright, upright.astype(bool))

    def rotated(self) -> "Classes":
        """Returns four classes for each: as it is, and turned by 90, 180 and 270 degrees."""
        turns = [(index, turn) for index in range(len(self)) for turn in range(4)]
        names = [self.names[index] + (f" turned by {90 * turn}°" if turn else "") for index, turn in turns]
        of = np.array([index for index, _ in turns])
        added = np.array([turn for _, turn in turns])
        members = [self.members[index] for index in of]
        return Classes(self.images, names, members, (self.turns[of] + added) % 4, self.mirrored[of], self.warped)

    def fewest(self) -> tuple[str, int]:
        """Returns the name of a class with the fewest images, and their number."""
        counts = [len(positions) for positions in self.members]
        index = int(np.argmin(counts))
        return self.names[index], counts[index]


def divide(count: int, shares: tuple[float, float], least: int, seed: int) -> dict[str, np.ndarray]:
    """Divides classes between the splits.

    Args:
        count: Number of classes.
        shares: The share of the test split, and the share of the rest that is the validation split.
        least: Number of classes that each split needs.
        seed: Seed of the choice.

    Returns:
        The numbers of the classes of ``train``, ``val`` and ``test``, each ascending.

    Raises:
        ValueError: if there are too few.
    """
    if count < 3 * least:
        raise ValueError(
            f"{_said(count)} cannot be divided between train, val and test with {least} in each; at least {3 * least} "
            "are needed: lower data.episodes.ways, or add classes"
        )
    test = min(max(least, round(shares[0] * count)), count - 2 * least)
    order = np.random.default_rng(seed).permutation(count)
    rest = hold_out(order[test:], shares[1], least)
    return {**rest, "test": np.sort(order[:test])}


def hold_out(order: np.ndarray, share: float, least: int) -> dict[str, np.ndarray]:
    """Holds out a share of classes for validation.

    Args:
        order: The classes, in random order.
        share: The share.
        least: Number of classes that both splits need.

    Returns:
        The classes of ``train`` and ``val``, each ascending.

    Raises:
        ValueError: if there are too few.
    """
    if len(order) < 2 * least:
        raise ValueError(
            f"{_said(len(order), 'training ')} cannot be divided between train and val with {least} in each; at least "
            f"{2 * least} are needed: lower data.episodes.ways, or add classes"
        )
    val = min(max(least, round(share * len(order))), len(order) - least)
    return {"train": np.sort(order[val:]), "val": np.sort(order[:val])}


def _said(count: int, kind: str = "") -> str:
    return f"{count} {kind}class{'' if count == 1 else 'es'}"
