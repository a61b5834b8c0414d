"""Computes simultaneous critical values: Dunnett's, and max-t by sign flips."""

from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import gammaincc, ndtri, stdtrit

from cv_attention.statistics.additive import AdditiveFit

_POINTS = 1 << 15  # points of the multivariate normal distribution
_TOGETHER = 1 << 3  # adjacent sorted points replaced by their mean
_ALL_FLIPS = 12  # up to this many blocks all sign patterns are used, above it 4,096 random ones


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
    """Solves for the critical value: integrates the variance exactly and the normal variables by a lattice."""
    single = float(stdtrit(df, (1 + level) / 2))
    if size == 1:
        return single
    squares = _largest(correlation, size) ** 2 * df / 2
    most = float(stdtrit(df, 1 - (1 - level) / size / 2)) * 1.01  # Bonferroni's is larger

    def excess(value: float) -> float:
        return float(gammaincc(df / 2, squares / value**2).mean()) - level

    root: Any = brentq(excess, single * 0.99, most, xtol=1e-7)
    return float(root)


@lru_cache(maxsize=16)
def _largest(correlation: bytes, size: int) -> np.ndarray:
    """Returns the largest absolute value of correlated normal variables, at equally likely points."""
    values, vectors = np.linalg.eigh(np.frombuffer(correlation).reshape(size, size))
    largest = np.abs(_lattice(size) @ (vectors * np.sqrt(values.clip(0))).T).max(axis=1)
    return np.sort(largest).reshape(-1, _TOGETHER).mean(axis=1)


@lru_cache(maxsize=4)
def _lattice(size: int) -> np.ndarray:
    """Returns points of the standard normal distribution in `size` dimensions."""
    root: Any = brentq(lambda x: x ** (size + 1) - x - 1, 1.0, 2.0)
    steps = root ** -np.arange(1.0, size + 1)
    return ndtri((0.5 + np.outer(np.arange(1, _POINTS + 1), steps)) % 1)


def sign_flips(fit: AdditiveFit, compared: np.ndarray, block: np.ndarray) -> np.ndarray:
    """Returns the largest t statistic for each sign flip of the residuals, by whole blocks; sorted.

    A flip preserves the correlation within a block and the variance of each arm, so that unequal variances and
    heavy tails of the data enter the distribution.

    Args:
        fit: The fitted table.
        compared: (arms,) bool, the arms to compare with the reference.
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
        return np.concatenate([np.ones((len(rest), 1)), rest], axis=1)  # flipping all is the same as flipping none
    drawn = np.random.default_rng(0).integers(0, 2, (1 << _ALL_FLIPS, blocks)) * 2.0 - 1
    drawn[0] = 1
    return drawn
