"""Plans how many seeds a study needs, from the residual standard deviation."""

from bisect import bisect_left

from scipy.special import ndtr, stdtrit

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
