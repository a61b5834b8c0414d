"""Detects arms whose runs spread more than others, or far more, and computes errors that allow for it."""

from dataclasses import dataclass

import numpy as np
from scipy.special import fdtrc

from cv_attention.statistics.additive import AdditiveFit, fit_additive

LEVEL = 0.1  # of the F test of each arm; at 0.05 three seeds miss too many, and a larger one costs power
APART = 3.0  # times the others' standard deviation, beyond which runs are another population, as where some diverge
APART_LEVEL = 0.001  # of the F test; arms of the same spread are hardly ever taken for apart
APART_DF = 4  # of the arm's own variance: five seeds; with three, false alarms would double where two arms stand apart


@dataclass(frozen=True)
class Spreads:
    """Holds the errors of the differences when some arms have their own variance.

    Attributes:
        ratios: (arms,) standard deviation of an arm's runs relative to that of the other arms; NaN unless the F test
            shows that it is larger.
        covariance: (arms, arms) of the differences.
        df: (arms,) degrees of freedom of each difference's variance, after Satterthwaite.
        concerned: (arms,) bool, the differences that involve such an arm.
    """

    ratios: np.ndarray
    covariance: np.ndarray
    df: np.ndarray
    concerned: np.ndarray


def spreads(values: np.ndarray, fit: AdditiveFit, reference: int) -> Spreads | None:
    """Finds arms that spread more than the others; returns None if there are none, or if it cannot be tested.

    The sum of squares that an arm adds to the fit without it is compared with the residual of that fit. Two arms
    cannot be distinguished, and need not be: their difference has one variance.

    Args:
        values: (arms, blocks), NaN where there is no run.
        fit: The additive fit to all of them.
        reference: The arm that the others are compared with.
    """
    arm = np.nonzero(np.isfinite(values))[0]
    own = [_own_variance(values, fit, index, arm) for index in range(len(values))]
    larger = np.array([variance is not None for variance in own])
    if not larger.any():
        return None
    rest, rest_df = _residual(values[~larger])
    if rest_df < 1:
        rest, rest_df = fit.variance, fit.design.df
    variances = np.array([rest if variance is None else variance[0] for variance in own])
    dfs = np.array([rest_df if variance is None else variance[1] for variance in own], dtype=float)
    contrasts = fit.design.contrasts
    parts = np.stack([(contrasts[:, arm == i] ** 2).sum(axis=1) for i in range(len(values))], axis=1) * variances
    other = parts[:, ~larger].sum(axis=1) ** 2 / rest_df  # one estimate for all of these arms
    with np.errstate(divide="ignore", invalid="ignore"):
        df = parts.sum(axis=1) ** 2 / (other + (parts[:, larger] ** 2 / dfs[larger]).sum(axis=1))
        ratios = np.where(larger, np.sqrt(variances / rest), np.nan)
    return Spreads(ratios, (contrasts * variances[arm]) @ contrasts.T, df, larger | larger[reference])


def apart(values: np.ndarray, reference: int) -> np.ndarray:
    """Returns (arms,) bool: arms that spread so much more than the others that they must not be pooled with them.

    The arm with the largest ratio goes first, so that it does not hide a second one. The reference always stays, with
    at least one other arm.

    Args:
        values: (arms, blocks), NaN where there is no run.
        reference: The arm that the others are compared with.
    """
    away = np.zeros(len(values), dtype=bool)
    while (~away).sum() > 2:
        kept = np.flatnonzero(~away)
        table = values[kept]
        fit = fit_additive(table, int(np.flatnonzero(kept == reference)[0]))
        arm = np.nonzero(np.isfinite(table))[0]
        ratios = [0.0] * len(kept)
        for place in range(len(kept)):
            own = _own_variance(table, fit, place, arm, APART_LEVEL) if kept[place] != reference else None
            if own is not None and own[1] >= APART_DF:
                ratios[place] = (own[0] / _residual(np.delete(table, place, axis=0))[0]) ** 0.5
        if max(ratios) < APART:
            break
        away[kept[int(np.argmax(ratios))]] = True
    return away


def _own_variance(
    values: np.ndarray, fit: AdditiveFit, index: int, arm: np.ndarray, level: float = LEVEL
) -> tuple[float, int] | None:
    """Returns an arm's variance and its degrees of freedom; None unless the F test shows that it is larger."""
    rest, rest_df = _residual(np.delete(values, index, axis=0))
    df = fit.design.df - rest_df
    if rest_df < 1 or df < 1 or not rest > 0:
        return None
    squares = fit.variance * fit.design.df - rest * rest_df
    if fdtrc(df, rest_df, max(squares, 0.0) / df / rest) >= level:
        return None
    share = float(np.diag(fit.design.residual)[arm == index].sum())  # of the arm's own variance in these squares
    return rest + (squares - df * rest) / share, df


def _residual(values: np.ndarray) -> tuple[float, int]:
    fit = fit_additive(values) if len(values) > 1 else None
    return (0.0, 0) if fit is None or fit.design.df < 1 else (fit.variance, fit.design.df)
