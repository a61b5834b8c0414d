"""Tests whether differences to the reference depend on the recipe."""

import numpy as np
from scipy.special import fdtrc

from cv_attention.statistics.additive import fit_additive


def interaction(first: np.ndarray, second: np.ndarray, reference: int = 0) -> float | None:
    """Computes the p value of the arm × recipe interaction of two tables, by an F test with a pooled residual.

    Args:
        first: (arms, blocks) under one recipe, NaN where there is no run.
        second: The same arms under the other recipe; the blocks may differ.
        reference: The arm that the others are compared with.

    Returns:
        The p value; None if no arm can be compared under both recipes, or there are no residual degrees of freedom.

    Examples:
        >>> import numpy as np
        >>> from cv_attention.statistics import interaction
        >>> short = np.array([[0.70, 0.72, 0.71], [0.73, 0.74, 0.72]])  # two networks, three seeds
        >>> long = np.array([[0.80, 0.82, 0.81], [0.80, 0.83, 0.81]])  # the same with a longer recipe
        >>> round(interaction(short, long), 3)
        0.067
    """
    fits = [fit_additive(values, reference) for values in (first, second)]
    both = fits[0].design.estimable & fits[1].design.estimable
    both[reference] = False
    df, count = sum(fit.design.df for fit in fits), int(both.sum())
    squares = sum(float(fit.residuals @ fit.residuals) for fit in fits)
    if not count or df < 1 or squares == 0:
        return None
    gap = (fits[1].differences - fits[0].differences)[both]
    covariance = (fits[0].covariance + fits[1].covariance)[np.ix_(both, both)]
    statistic = gap @ np.linalg.solve(covariance, gap) / count / (squares / df)
    return float(fdtrc(count, df, statistic))
