"""Draws episodes: which images they show, in which order, and what is asked."""

from typing import NamedTuple

import numpy as np

from cv_attention.config import Episodes
from cv_attention.data.episodes.classes import Classes


class Episode(NamedTuple):
    """Holds one episode of T images.

    Attributes:
        members: int64 (T,), the images, as positions among those of the split.
        classes: int64 (T,), the class of each image, as a position among the classes of the split.
        labels: int64 (T,), what each image is called in this episode.
        query: Which pair is asked for, from 0 on; -1 where nothing is asked.
        target: The answer: the label of that pair's second image; -1 where nothing is asked.

    Examples:
        >>> import numpy as np
        >>> from cv_attention.data.episodes import Episode
        >>> Episode(np.array([4, 9]), np.array([1, 3]), np.array([0, 1]), -1, -1).labels
        array([0, 1])
    """

    members: np.ndarray
    classes: np.ndarray
    labels: np.ndarray
    query: int = -1
    target: int = -1


def draw(classes: Classes, config: Episodes, length: tuple[int, int], rng: np.random.Generator) -> Episode:
    """Draws an episode.

    Args:
        classes: The classes of the split.
        config: What kind of episode.
        length: Fewest and most images of a sequence to be copied.
        rng: Source of the random numbers.
    """
    if config.kind == "copy":
        return _copy(classes, length, rng)
    if config.kind == "associate":
        return _associate(classes, config.ways, rng)
    return _classify(classes, config.ways, config.instances, rng)


def nth_time(labels: np.ndarray) -> np.ndarray:
    """Returns for each label of an episode (T,) how often it has been shown by then: 1 for the first time."""
    seen: dict[int, int] = {}
    counts = np.empty(len(labels), np.int64)
    for place, label in enumerate(labels.tolist()):
        counts[place] = seen[label] = seen.get(label, 0) + 1
    return counts


def _classify(classes: Classes, ways: int, instances: int, rng: np.random.Generator) -> Episode:
    """Draws images of a few classes in random order; the classes are numbered in the order in which they are drawn."""
    chosen = rng.choice(len(classes), ways, replace=False)
    members = np.concatenate([rng.choice(classes.members[index], instances, replace=False) for index in chosen])
    order = rng.permutation(ways * instances)
    labels = np.repeat(np.arange(ways), instances)[order]
    return Episode(members[order], chosen[labels], labels)


def _copy(classes: Classes, length: tuple[int, int], rng: np.random.Generator) -> Episode:
    labels = rng.integers(len(classes), size=rng.integers(length[0], length[1] + 1))
    return Episode(_one_each(classes, labels, rng), labels, labels)


def _associate(classes: Classes, pairs: int, rng: np.random.Generator) -> Episode:
    """Draws pairs of a cue and its partner, then another image of one of the cues' classes."""
    labels = np.empty(2 * pairs + 1, np.int64)
    labels[:-1:2] = rng.choice(len(classes), pairs, replace=False)
    labels[1::2] = rng.integers(len(classes), size=pairs)
    query = int(rng.integers(pairs))
    labels[-1] = labels[2 * query]
    members = _one_each(classes, labels, rng)
    others = classes.members[labels[-1]]
    members[-1] = rng.choice(others[others != members[2 * query]])
    return Episode(members, labels, labels, query, int(labels[2 * query + 1]))


def _one_each(classes: Classes, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.array([rng.choice(classes.members[label]) for label in labels], np.int64)
