"""Selects classes and images, and holds out a validation split, deterministically.

The selection depends only on the values and the (sorted) data, and smaller selections are contained in larger
ones: the images of `per_class=5` are among those of `per_class=10`.
"""

import warnings
from collections.abc import Callable, Sequence

import numpy as np

from cv_attention.config import Subset
from cv_attention.config.bounds import check_bounds
from cv_attention.data.stratifying import divide, strata
from cv_attention.suggest import suggest


def check(subset: Subset) -> None:
    """Raises ValueError if a value is out of range, whatever the data."""
    check_bounds(subset, "data.subset.")
    if subset.classes is not None and not subset.classes:
        raise ValueError("data.subset.classes is empty; give class names, or null for all classes")


def choose_classes(names: Sequence[str], subset: Subset) -> list[str]:
    """Chooses classes: first `classes`, then of these `num_classes`, evenly spread over the sorted names.

    Returns:
        The chosen names in the order of `names`.

    Raises:
        ValueError: if a class is unknown (with close matches), or there are fewer than requested.
    """
    check(subset)
    for name in subset.classes or []:
        if name not in names:
            raise ValueError(f"data.subset.classes: unknown class '{name}'{suggest(name, names)}")
    chosen = [name for name in names if subset.classes is None or name in subset.classes]
    if subset.num_classes is not None:
        if subset.num_classes > len(chosen):
            raise ValueError(f"data.subset.num_classes is {subset.num_classes}, but there are {len(chosen)} classes")
        ordered = sorted(chosen)
        spread = {ordered[i * len(ordered) // subset.num_classes] for i in range(subset.num_classes)}
        chosen = [name for name in chosen if name in spread]
    return chosen


def thin(labels: np.ndarray, subset: Subset) -> np.ndarray:
    """Chooses training images: a `fraction` of each class, at least one, and at most `per_class`.

    Args:
        labels: Class indices (N,), or what `strata` takes; then a class stands for a stratum.
        subset: The selection.

    Returns:
        Positions of the chosen images in `labels`, ascending.
    """
    if subset.per_class is None and subset.fraction is None:
        return np.arange(len(labels))

    def count(total: int) -> int:
        share = total if subset.fraction is None else max(1, round(subset.fraction * total))
        return share if subset.per_class is None else min(share, subset.per_class)

    return _first_of_each_class(strata(labels), 0, count)


def hold_out(
    labels: np.ndarray, fraction: float, seed: int, groups: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Holds out the same fraction of each class's training images, at least one if a class has two.

    Args:
        labels: Class indices (N,), or what `strata` takes; images with several classes are divided by `divide`.
        fraction: Fraction to hold out, in (0, 1).
        seed: Seed of the selection.
        groups: Group of each image (N,): whole groups are held out, so that the fractions are met only about. None
            holds out single images.

    Returns:
        Positions of the kept and of the held-out images, each ascending.

    Raises:
        ValueError: if there are too few groups to hold out one.
    """
    if labels.dtype == np.uint8 and labels.ndim == 2:
        held = np.flatnonzero(divide(labels, (1 - fraction, fraction), seed, groups) == 1)
        return np.setdiff1d(np.arange(len(labels)), held, assume_unique=True), held
    labels = strata(labels)
    if groups is not None:
        held = _groups_of_each_class(labels, fraction, seed, groups)
    else:
        held = _first_of_each_class(labels, seed, lambda n: min(max(1, round(fraction * n)), n - 1))
    return np.setdiff1d(np.arange(len(labels)), held, assume_unique=True), held


def _groups_of_each_class(labels: np.ndarray, fraction: float, seed: int, groups: np.ndarray) -> np.ndarray:
    """Returns the images of about a fraction of the groups, as some of the parts of scikit-learn's splitter."""
    from sklearn.model_selection import StratifiedGroupKFold

    known = len(np.unique(groups))
    if known * fraction < 0.5 or known < 2:
        raise ValueError(f"{known} groups of training images are too few to hold out {fraction:g} of them")
    parts = min(known, 20)
    count = min(max(1, round(fraction * parts)), parts - 1)
    splitter = StratifiedGroupKFold(parts, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # classes with fewer images than parts
        held = [part for _, part in splitter.split(labels, labels, groups)][:count]
    return np.sort(np.concatenate(held))


def _first_of_each_class(labels: np.ndarray, seed: int, count: Callable[[int], int]) -> np.ndarray:
    """Returns the first `count(class size)` images of each class in a fixed random order; ascending positions."""
    parts = [np.zeros(0, np.int64)]
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        order = np.random.default_rng((seed, int(label))).permutation(len(members))
        parts.append(members[order[: count(len(members))]])
    return np.sort(np.concatenate(parts))
