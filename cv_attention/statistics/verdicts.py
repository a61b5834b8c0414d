"""Judges arms against a reference: better, worse, equivalent within a margin, or unresolved."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.special import stdtrit

from cv_attention.statistics.additive import AdditiveFit, fit_additive
from cv_attention.statistics.planning import seeds_needed
from cv_attention.statistics.simultaneous import dunnett, sign_flips
from cv_attention.statistics.spreads import Spreads, apart, spreads

Verdict = Literal["better", "worse", "equivalent", "unresolved", "none"]
FLIPS_FROM = 6  # blocks; fewer give too few sign patterns
BEYOND = 3  # sign patterns beyond the critical value, at least
CLEARLY = 1.1  # with equal variances, a critical value by sign flips varies by a few percent


@dataclass(frozen=True)
class Judged:
    """Holds the verdict on one arm.

    Attributes:
        difference: Arm minus reference, over the blocks; None if it cannot be estimated.
        low: Lower end of the simultaneous interval; None if there is no verdict.
        high: Upper end of the interval.
        verdict: ``better`` or ``worse`` if the interval excludes zero; ``equivalent`` if two one-sided tests place the
            difference within the margin; ``unresolved`` otherwise; ``none`` if nothing can be judged.
        within_margin: Whether the two one-sided tests place the difference within the margin; it can be significant
            and still that small.
        more: Approximate number of additional blocks that would resolve the arm if the estimates were true; None if
            it is resolved, if blocks cannot be added, or if more than 1,000 would be needed.
        reason: Why there is no verdict; empty if there is one.

    Examples:
        >>> import numpy as np
        >>> from cv_attention.statistics import judge
        >>> values = np.array([[0.70, 0.72, 0.71, 0.70], [0.75, 0.76, 0.76, 0.75]])
        >>> arm = judge(values).arms[1]
        >>> arm.verdict, round(arm.difference, 4), round(arm.low, 4)
        ('better', 0.0475, 0.0395)
    """

    difference: float | None
    low: float | None
    high: float | None
    verdict: Verdict
    within_margin: bool = False
    more: int | None = None
    reason: str = ""


@dataclass(frozen=True)
class Study:
    """Holds the verdicts on all arms of a table.

    Attributes:
        arms: One verdict per arm; the reference's is empty.
        deviation: Pooled residual standard deviation of one run; None without degrees of freedom.
        df: Degrees of freedom of `deviation`.
        method: How the intervals were computed.
        spreads: For each arm, the standard deviation of its runs relative to the other arms' if an F test shows that it
            is larger, so that intervals with this arm allow for it; otherwise None.
        apart: For each arm, whether it spreads so much more that it is judged by itself; empty if none is.

    Examples:
        >>> import numpy as np
        >>> from cv_attention.statistics import judge
        >>> study = judge(np.array([[0.70, 0.72, 0.71, 0.70], [0.75, 0.76, 0.76, 0.75]]))
        >>> round(study.deviation, 4), study.df
        (0.0035, 3)
    """

    arms: tuple[Judged, ...]
    deviation: float | None
    df: int
    method: str
    spreads: tuple[float | None, ...]
    apart: tuple[bool, ...] = ()


def judge(
    values: np.ndarray,
    reference: int = 0,
    *,
    alpha: float = 0.05,
    margin: float | None = None,
    overlap: float | None = None,
    higher_is_better: bool = True,
) -> Study:
    """Compares every arm with the reference, by simultaneous intervals.

    Intervals are simultaneous: the probability that any of them misses its true difference is `alpha`. They use
    Dunnett's critical value on the pooled residual; with six or more blocks, that of max-t by sign flips if it is
    clearly larger, as it is when variances are unequal. If an F test shows that an arm spreads more than the others,
    its intervals (all intervals, for the reference) are widened to its own variance. An arm that spreads far more than
    the others, such as one whose runs sometimes diverge, is judged apart, so that the others' intervals do not depend
    on it; both share `alpha` by their numbers. The variance of folds is corrected following Nadeau and Bengio.

    Args:
        values: (arms, blocks), NaN where there is no run.
        reference: Index of the arm that the others are compared with.
        alpha: Probability of any wrong verdict.
        margin: Differences within ± this count as equivalent; None does not test equivalence.
        overlap: For folds of one data set: held-out images per training image, 1/4 for five folds. None for
            seeds.
        higher_is_better: Whether a larger value is better.

    Returns:
        A verdict for each arm.

    Examples:
        >>> import numpy as np
        >>> from cv_attention.statistics import judge
        >>> accuracies = np.array([
        ...     [0.700, 0.720, 0.710, 0.700],  # the reference, four seeds
        ...     [0.750, 0.760, 0.760, 0.750],
        ...     [0.701, 0.719, 0.711, 0.700],
        ... ])
        >>> [arm.verdict for arm in judge(accuracies, margin=0.01).arms[1:]]
        ['better', 'equivalent']
    """
    values = np.asarray(values, dtype=float)
    away = apart(values, reference)
    others = max(1, len(values) - 1)

    def judged(taken: np.ndarray, share: float) -> Study:
        place = int(np.flatnonzero(taken == reference)[0])
        return _judge(values[taken], place, share * alpha, margin, overlap, higher_is_better)

    kept = np.flatnonzero(~away)
    found = judged(kept, 1 - away.sum() / others)
    if not away.any():
        return found
    places = kept.tolist()
    arms, ratios = dict(zip(places, found.arms, strict=True)), dict(zip(places, found.spreads, strict=True))
    for arm in np.flatnonzero(away).tolist():
        arms[arm] = judged(np.array([reference, arm]), 1 / others).arms[1]  # by the spread of its own differences
        table = values[np.append(kept, arm)]
        larger = spreads(table, fit_additive(table), int(np.flatnonzero(kept == reference)[0]))
        ratios[arm] = None if larger is None else _number(larger.ratios[-1])
    return replace(
        found,
        arms=tuple(arms[arm] for arm in range(len(values))),
        spreads=tuple(ratios[arm] for arm in range(len(values))),
        apart=tuple(away.tolist()),
    )


def _judge(
    values: np.ndarray,
    reference: int,
    alpha: float,
    margin: float | None,
    overlap: float | None,
    higher_is_better: bool,
) -> Study:
    """Compares every arm with the reference, all by one pooled residual."""
    fit = fit_additive(values, reference)
    runs = np.isfinite(values).sum(axis=1)
    compared = _compared(fit, runs, reference)
    critical, method = _critical(fit, np.isfinite(values), compared, alpha, overlap)
    unequal = spreads(values, fit, reference) if compared.any() else None
    halves = _halves(fit, critical, unequal, compared, alpha)
    if overlap is not None:
        halves *= np.sqrt(1 + overlap * np.where(fit.design.shared > 0, fit.design.shared, values.shape[1]))
    unit = "seed" if overlap is None else "fold"
    arms = []
    for arm, difference in enumerate(fit.differences.tolist()):
        if not compared[arm]:
            known = None if arm == reference or not np.isfinite(difference) else difference
            arms.append(Judged(known, None, None, "none", reason=_reason(fit, runs, arm, reference, unit)))
            continue
        half, one_sided = halves[:, arm].tolist()
        judged = _judged(difference, half, one_sided, margin, higher_is_better)
        if judged.verdict == "unresolved" and overlap is None:
            deviation = _deviation(fit, unequal, arm)
            judged = replace(judged, more=_more(fit, arm, deviation, int(compared.sum()) + 1, margin, alpha))
        arms.append(judged)
    ratios = (None,) * len(values) if unequal is None else tuple(_number(ratio) for ratio in unequal.ratios)
    return Study(tuple(arms), fit.variance**0.5 if fit.design.df > 0 else None, fit.design.df, method, ratios)


def _number(ratio: float) -> float | None:
    return float(ratio) if np.isfinite(ratio) else None


def _compared(fit: AdditiveFit, runs: np.ndarray, reference: int) -> np.ndarray:
    """Returns which arms get an interval."""
    others = np.arange(len(runs)) != reference
    usable = bool(fit.design.df > 0 and fit.variance > 0 and runs[reference] > 1)
    return fit.design.estimable & others & (runs > 1) & usable


def _reason(fit: AdditiveFit, runs: np.ndarray, arm: int, reference: int, unit: str) -> str:
    if arm == reference:
        return "the reference"
    for index, who in ((arm, ""), (reference, " of the reference")):
        if not runs[index]:
            return f"no finished run{who}"
    if not fit.design.estimable[arm]:
        return f"no {unit} in common with the reference"
    for index, who in ((arm, ""), (reference, " of the reference")):
        if runs[index] < 2:
            return f"only one {unit}{who}: no spread to judge by"
    if fit.variance == 0:
        return f"the difference is the same for every {unit}: no spread to judge by"
    return "too few runs"


def _critical(
    fit: AdditiveFit, present: np.ndarray, compared: np.ndarray, alpha: float, overlap: float | None
) -> tuple[tuple[float, float], str]:
    """Returns the critical values of the interval and of the two one-sided tests, and how they were computed."""
    if not compared.any():
        return (np.nan, np.nan), ""
    covariance = fit.covariance[np.ix_(compared, compared)]
    both = dunnett(covariance, fit.design.df, 1 - alpha)
    # Arms can differ in either direction, so only Bonferroni's value always holds for one-sided tests.
    one_sided = min(both, float(stdtrit(fit.design.df, 1 - alpha / len(covariance))))
    name = "Dunnett, pooled residual" if len(covariance) > 1 else "Student's t, pooled residual"
    if overlap is not None:
        return (both, one_sided), f"{name}, variance corrected for folds"
    blocks = fit.design.shared[compared].min()
    if blocks < FLIPS_FROM or alpha * 2.0**blocks < BEYOND:
        return (both, one_sided), name
    flips = sign_flips(fit, compared, np.nonzero(present)[1])
    flipped = float(np.quantile(flips, 1 - alpha, method="higher"))
    if flipped <= CLEARLY * both:
        return (both, one_sided), f"{name}; max-t by sign flips agrees"
    return (flipped, flipped), "max-t by sign flips"


def _halves(
    fit: AdditiveFit, critical: tuple[float, float], unequal: Spreads | None, compared: np.ndarray, alpha: float
) -> np.ndarray:
    """Returns half widths (2, arms) of intervals and one-sided tests; unequal spreads can only widen them."""
    halves = np.outer(critical, fit.errors)
    if unequal is None:
        return halves
    covariance = unequal.covariance[np.ix_(compared, compared)]
    for arm in np.flatnonzero(compared & unequal.concerned):
        df, error = round(float(unequal.df[arm]), 6), unequal.covariance[arm, arm] ** 0.5
        both = dunnett(covariance, df, 1 - alpha)
        one_sided = min(both, float(stdtrit(df, 1 - alpha / len(covariance))))
        halves[:, arm] = np.maximum(halves[:, arm], [both * error, one_sided * error])
    return halves


def _deviation(fit: AdditiveFit, unequal: Spreads | None, arm: int) -> float:
    """Returns the standard deviation of one run that the interval of an arm is based on."""
    if unequal is None or not unequal.concerned[arm]:
        return fit.variance**0.5
    return max(fit.variance, unequal.covariance[arm, arm] / fit.covariance[arm, arm]) ** 0.5


def _more(fit: AdditiveFit, arm: int, deviation: float, arms: int, margin: float | None, alpha: float) -> int | None:
    """Returns how many more blocks an unresolved arm needs if the estimates are true."""
    wanted = seeds_needed(float(fit.differences[arm]), deviation, arms, margin=margin, alpha=alpha)
    return None if wanted is None else max(1, wanted - int(fit.design.shared[arm]))


def _judged(difference: float, half: float, one_sided: float, margin: float | None, higher_is_better: bool) -> Judged:
    low, high = difference - half, difference + half
    within = bool(margin is not None and abs(difference) + one_sided < margin)
    verdict: Verdict = "equivalent" if within else "unresolved"
    if low > 0 or high < 0:
        verdict = "better" if (low > 0) == higher_is_better else "worse"
    return Judged(float(difference), float(low), float(high), verdict, within)
