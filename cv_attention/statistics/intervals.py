"""Computes bootstrap and t intervals of a mean, and score intervals of a share."""

from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

_AT_ONCE = 1 << 22  # drawn values in memory


class Interval(NamedTuple):
    """Holds a mean with its confidence interval.

    Attributes:
        mean: The mean.
        low: Lower end of the interval.
        high: Upper end.

    Examples:
        >>> from cv_attention.statistics import Interval
        >>> interval = Interval(mean=0.8, low=0.725, high=0.875)
        >>> print(interval)
        0.800 [0.725, 0.875]
        >>> round(interval.high - interval.low, 3)
        0.15
    """

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


def bootstrap(values: ArrayLike, *, confidence: float = 0.95, resamples: int = 2000, seed: int = 0) -> Interval:
    """Returns the mean of some values with its percentile bootstrap interval, by `scipy.stats.bootstrap`.

    Args:
        values: (N,), bool or numbers, such as one for each image.
        confidence: Confidence level in (0, 1).
        resamples: How often N of the N values are drawn.
        seed: Seed of the draws.

    Returns:
        The mean and the ends of the interval; a single value is its own interval.

    Raises:
        ValueError: if there is no value, one is not finite, or an argument is out of range.

    Examples:
        >>> from cv_attention.statistics import bootstrap
        >>> print(bootstrap([0.9, 0.7, 0.8, 0.8]))
        0.800 [0.725, 0.875]
    """
    values = np.asarray(values, dtype=float)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise ValueError(f"values must be a list of finite numbers, got shape {values.shape}")
    if not 0 < confidence < 1 or resamples < 1:
        raise ValueError(f"confidence in (0, 1) and resamples >= 1 are needed, got {confidence} and {resamples}")
    mean = float(values.mean())
    if len(values) == 1:
        return Interval(mean, mean, mean)
    from scipy import stats  # takes most of a second to import

    low, high = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=resamples,
        batch=max(1, _AT_ONCE // len(values)),
        confidence_level=confidence,
        method="percentile",
        random_state=np.random.default_rng(seed),  # pyright: ignore[reportCallIssue]  # from scipy 1.15 on also: rng
    ).confidence_interval
    return Interval(mean, float(low), float(high))


def student(values: ArrayLike, *, confidence: float = 0.95) -> Interval:
    """Returns the mean of a few values with Student's t interval: for seeds, of which a bootstrap needs more.

    Args:
        values: (N,), such as one difference for each seed.
        confidence: Confidence level in (0, 1).

    Returns:
        The mean and the ends of the interval, which are infinite for a single value.

    Raises:
        ValueError: if there is no value, one is not finite, or `confidence` is out of range.

    Examples:
        >>> from cv_attention.statistics import student
        >>> print(student([0.03, 0.05, 0.04]))
        0.040 [0.015, 0.065]
    """
    values = np.asarray(values, dtype=float)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise ValueError(f"values must be a list of finite numbers, got shape {values.shape}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be in (0, 1), got {confidence}")
    mean = float(values.mean())
    if len(values) == 1:
        return Interval(mean, -float("inf"), float("inf"))
    from scipy.special import stdtrit  # stats takes most of a second to import

    half = float(stdtrit(len(values) - 1, (1 + confidence) / 2) * values.std(ddof=1) / len(values) ** 0.5)
    return Interval(mean, mean - half, mean + half)


def wilson(hits: int, count: int, *, confidence: float = 0.95) -> Interval:
    """Returns a share with its score interval (Wilson, JASA 1927, https://doi.org/10.1080/01621459.1927.10502953).

    Unlike the usual normal approximation, it lies in [0, 1] and has a width even where all or none are hits.

    Args:
        hits: How many of `count` are right.
        count: Their number.
        confidence: Confidence level in (0, 1).

    Returns:
        The share as the mean, and the ends of the interval.

    Raises:
        ValueError: if there is nothing to count, or an argument is out of range.

    Examples:
        >>> from cv_attention.statistics import wilson
        >>> print(wilson(9, 10))
        0.900 [0.596, 0.982]
    """
    if not 0 <= hits <= count or count < 1 or not 0 < confidence < 1:
        raise ValueError(
            f"hits in [0, count], count >= 1 and confidence in (0, 1) are needed, got {hits}, {count} and {confidence}"
        )
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = hits / count
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * (share * (1 - share) / count + z * z / (4 * count * count)) ** 0.5
    return Interval(share, max(0.0, centre - half), min(1.0, centre + half))
