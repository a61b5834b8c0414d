"""Plans how many seeds a study needs, or what its seeds can show, from the residual standard deviation."""

from bisect import bisect_left

from scipy.special import nctdtr, ndtr, stdtrit

MOST = 1000  # larger numbers of seeds are not reported


def seeds_needed(
    difference: float,
    deviation: float,
    arms: int,
    *,
    margin: float | None = None,
    alpha: float = 0.05,
    power: float = 0.8,
) -> int | None:
    """Computes the number of seeds per arm with which to expect a verdict.

    The smaller of two numbers: the seeds that show a true difference of this size with probability `power`, and
    those that show with the same probability that it lies within the margin. Levels are corrected for the number of
    arms by Bonferroni, which needs a few more seeds than the verdicts themselves.

    Args:
        difference: The true difference to plan for, in the unit of the metric.
        deviation: Residual standard deviation of one run, in the same unit.
        arms: Number of networks, including the reference.
        margin: Differences within ± this count as equivalent; None plans for a difference only.
        alpha: Probability that any arm gets a wrong verdict.
        power: Probability of a verdict.

    Returns:
        The number; None if more seeds would be needed than `MOST`.

    Examples:
        >>> from cv_attention.statistics import seeds_needed
        >>> seeds_needed(0.005, deviation=0.004, arms=2), seeds_needed(0.001, deviation=0.004, arms=2)
        (12, 253)
    """
    size = abs(difference)

    def enough(seeds: int) -> bool:
        df, error = (arms - 1) * (seeds - 1), deviation * (2 / seeds) ** 0.5
        if ndtr(size / error - stdtrit(df, 1 - alpha / (arms - 1) / 2)) >= power:
            return True
        if margin is None:
            return False
        critical = stdtrit(df, 1 - alpha / (arms - 1))
        return ndtr((margin - size) / error - critical) + ndtr((margin + size) / error - critical) - 1 >= power

    if not enough(MOST):
        return None
    return bisect_left(range(2, MOST), True, key=enough) + 2


def detectable(seeds: int, deviation: float, arms: int, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """Computes the smallest true difference that a number of seeds shows with a probability.

    The counterpart of `seeds_needed`, for complete blocks: the pooled residual has ``(arms - 1) * (seeds - 1)`` degrees
    of freedom, the level is corrected for the number of arms by Bonferroni, and the power is that of the noncentral t
    distribution.

    Args:
        seeds: Seeds of each arm, at least 2.
        deviation: Residual standard deviation of one run.
        arms: Number of networks, including the reference, at least 2.
        alpha: Probability that any arm gets a wrong verdict.
        power: Probability of showing the difference.

    Returns:
        The difference, in the unit of `deviation`.

    Raises:
        ValueError: if there are fewer than two seeds or two arms.

    Examples:
        >>> from cv_attention.statistics import detectable
        >>> round(detectable(9, deviation=0.2, arms=2), 2)  # points, if the deviation is in points
        0.3
    """
    if seeds < 2 or arms < 2:
        raise ValueError(f"seeds and arms must be at least 2, got {seeds} and {arms}")
    df, error = (arms - 1) * (seeds - 1), deviation * (2 / seeds) ** 0.5
    critical = float(stdtrit(df, 1 - alpha / (arms - 1) / 2))

    def shown(size: float) -> float:
        return 1 - nctdtr(df, size, critical)  # in its direction

    low, high = 0.0, 1.0
    while shown(high) < power:
        high *= 2
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if shown(middle) >= power else (middle, high)
    return high * error
