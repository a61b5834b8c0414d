"""Computes simultaneous critical values: Dunnett's, and max-t by sign flips."""

from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import gammaincc, ndtri, stdtrit

from cv_attention.statistics.additive import AdditiveFit

_POINTS = 1 << 15  # of the multivariate normal distribution
_TOGETHER = 1 << 3  # sorted points, of which the mean stands for all
_ALL_FLIPS = 12  # up to this many blocks every pattern of signs is tried, above it 4,096 drawn ones


def dunnett(covariance: np.ndarray, df: float, level: float) -> float:
    """Returns the two-sided critical value of the largest of several correlated t statistics.

    Args:
        covariance: (differences, differences), in any units.
        df: Degrees of freedom of the pooled variance.
        level: Probability that all statistics lie within the value, such as 0.95.
    """
    scale = np.sqrt(np.diag(covariance))
    correlation = np.round(covariance / np.outer(scale, scale), 9)
    return _critical(correlation.tobytes(), len(covariance), df, level)


@lru_cache(maxsize=256)
def _critical(correlation: bytes, size: int, df: float, level: float) -> float:
    """Solves for the critical value: the variance is integrated exactly, the normal numbers by a lattice."""
    single = float(stdtrit(df, (1 + level) / 2))
    if size == 1:
        return single
    squares = _largest(correlation, size) ** 2 * df / 2
    most = float(stdtrit(df, 1 - (1 - level) / size / 2)) * 1.01  # Bonferroni's is larger

    def excess(value: float) -> float:
        return float(gammaincc(df / 2, squares / value**2).mean()) - level

    found: Any = brentq(excess, single * 0.99, most, xtol=1e-7)
    return float(found)


@lru_cache(maxsize=16)
def _largest(correlation: bytes, size: int) -> np.ndarray:
    """Largest absolute value of correlated normal numbers, at equally likely points."""
    values, vectors = np.linalg.eigh(np.frombuffer(correlation).reshape(size, size))
    largest = np.abs(_lattice(size) @ (vectors * np.sqrt(values.clip(0))).T).max(axis=1)
    return np.sort(largest).reshape(-1, _TOGETHER).mean(axis=1)


@lru_cache(maxsize=4)
def _lattice(size: int) -> np.ndarray:
    """Points of the standard normal distribution in `size` dimensions."""
    root: Any = brentq(lambda x: x ** (size + 1) - x - 1, 1.0, 2.0)
    steps = root ** -np.arange(1.0, size + 1)
    return ndtri((0.5 + np.outer(np.arange(1, _POINTS + 1), steps)) % 1)


def sign_flips(fit: AdditiveFit, compared: np.ndarray, block: np.ndarray) -> np.ndarray:
    """Returns the largest t statistic of every flip of the residuals' signs, whole blocks at a time; sorted.

    A flip keeps what the runs of a block have in common and how much each arm varies, so that unequal variances and
    heavy tails of the data are in the distribution.

    Args:
        fit: The fitted table.
        compared: (arms,) bool, the arms that are compared with the reference.
        block: The block of each observation.
    """
    design = fit.design
    contrasts = design.contrasts[compared] * np.sqrt(1 / np.diag(fit.covariance)[compared])[:, None]
    blocks = int(block.max()) + 1
    parts = (np.arange(blocks)[:, None] == block) * fit.residuals  # (blocks, observations)
    signs = _signs(blocks)
    spread = np.sqrt(((signs @ (parts @ design.residual.T)) ** 2).sum(axis=1) / design.df)
    largest = np.abs(signs @ (parts @ contrasts.T)).max(axis=1)
    tiny = 1e-9 * np.sqrt(fit.variance)
    with np.errstate(divide="ignore"):
        statistics = np.where(spread > tiny, largest / np.maximum(spread, tiny), np.where(largest > tiny, np.inf, 0.0))
    return np.sort(statistics)


@lru_cache(maxsize=16)
def _signs(blocks: int) -> np.ndarray:
    if blocks <= _ALL_FLIPS:
        rest = np.array(list(product((1.0, -1.0), repeat=blocks - 1)))
        return np.concatenate([np.ones((len(rest), 1)), rest], axis=1)  # all flipped is the same as none
    drawn = np.random.default_rng(0).integers(0, 2, (1 << _ALL_FLIPS, blocks)) * 2.0 - 1
    drawn[0] = 1
    return drawn
