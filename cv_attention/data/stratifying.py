"""Divides images that have several classes each, or numbers, so that the parts have equal shares of all of them."""

from collections.abc import Sequence

import numpy as np

_BINS = 10  # of numbers, by their value


def strata(labels: np.ndarray) -> np.ndarray:
    """Returns one stratum for each image, int64 (N,).

    Args:
        labels: Classes, int64 (N,), which are returned; whether an image has each of C classes, uint8 (N, C): the
            stratum is its class with the fewest images, or C without a class; or numbers, float32 (N, V): tenths of the
            images by the first number.
    """
    if labels.ndim == 1:
        return labels
    if labels.dtype == np.uint8:
        counts = np.where(labels > 0, labels.sum(0, dtype=np.int64), len(labels) + 1)
        return np.where(labels.any(1), counts.argmin(1), labels.shape[1]).astype(np.int64)
    order = np.argsort(np.argsort(labels[:, 0], kind="stable"), kind="stable")
    return (order * min(_BINS, max(len(labels) // 2, 1)) // max(len(labels), 1)).astype(np.int64)


def divide(labels: np.ndarray, shares: Sequence[float], seed: int, groups: np.ndarray | None = None) -> np.ndarray:
    """Divides images into parts that have the same share of every class, by iterative stratification.

    Paper: Sechidis, Tsoumakas and Vlahavas, ECML PKDD 2011, https://doi.org/10.1007/978-3-642-23808-6_10. Classes are
    dealt with from the one with the fewest images left: each of its images goes to the part that lacks this class
    most; among those, to the part that lacks images most.

    Args:
        labels: Whether each image has each class, uint8 (N, C).
        shares: Share of the images of each part, which add up to 1.
        seed: Decides between parts that lack as much.
        groups: Group of each image (N,): those of a group go to one part, so that shares are met only about.

    Returns:
        The part of each image, int64 (N,).
    """
    if groups is not None:
        names, places = np.unique(groups, return_inverse=True)
        joined = np.zeros((len(names), labels.shape[1]), np.uint8)
        np.maximum.at(joined, places, labels)
        return divide(joined, shares, seed)[places]
    random = np.random.default_rng(seed)
    wanted = np.asarray(shares, np.float64)
    lacking, of_class = wanted * len(labels), wanted[:, None] * labels.sum(0, dtype=np.int64)
    parts, left = np.full(len(labels), -1, np.int64), labels.astype(bool)
    counts = left.sum(0)

    def place(image: int, classes: np.ndarray, wish: np.ndarray) -> None:
        best = np.flatnonzero(wish >= wish.max() - 1e-9)
        best = best[lacking[best] >= lacking[best].max() - 1e-9]
        part = int(best[0] if len(best) == 1 else random.choice(best))
        parts[image] = part
        lacking[part] -= 1
        of_class[part, classes] -= 1

    while counts.any():
        rarest = int(np.where(counts > 0, counts, len(labels) + 1).argmin())
        for image in random.permutation(np.flatnonzero(left[:, rarest])).tolist():
            classes = np.flatnonzero(labels[image])
            place(image, classes, of_class[:, rarest])
            counts -= left[image]
            left[image] = False
    for image in random.permutation(np.flatnonzero(parts < 0)).tolist():
        place(image, np.zeros(0, np.int64), lacking)
    return parts
