"""Fits the additive model, arm + block, with one residual variance; cells may be missing."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np


@dataclass(frozen=True)
class Design:
    """Holds what depends only on which cells of a table are present.

    Attributes:
        contrasts: (arms, observations); multiplied by the observations, gives every arm minus the reference.
        residual: (observations, observations); multiplied by the observations, gives the residuals.
        estimable: (arms,) bool; False if no chain of shared blocks connects an arm to the reference.
        shared: (arms,) int, number of blocks that each arm has in common with the reference.
        df: Degrees of freedom of the residual.
    """

    contrasts: np.ndarray
    residual: np.ndarray
    estimable: np.ndarray
    shared: np.ndarray
    df: int


@dataclass(frozen=True)
class AdditiveFit:
    """Holds a least-squares fit of a table of values.

    Attributes:
        design: The design of its cells.
        differences: (arms,) each arm minus the reference; NaN if it cannot be estimated.
        residuals: Residual of each observation, in the order of ``values[present]``.
        variance: Pooled residual variance; NaN without degrees of freedom.
        covariance: (arms, arms) of the differences, in units of the variance.

    Examples:
        >>> import numpy as np
        >>> from cv_attention.statistics import fit_additive
        >>> fit = fit_additive(np.array([[0.70, 0.72, 0.71], [0.73, 0.74, 0.72]]))
        >>> fit.differences.round(4), fit.errors.round(4)
        (array([0.  , 0.02]), array([0.    , 0.0058]))
    """

    design: Design
    differences: np.ndarray
    residuals: np.ndarray
    variance: float
    covariance: np.ndarray

    @property
    def errors(self) -> np.ndarray:
        """Returns the standard error of each difference."""
        return np.sqrt(self.variance * np.diag(self.covariance))


def fit_additive(values: np.ndarray, reference: int = 0) -> AdditiveFit:
    """Fits ``arm + block`` to a table of values by least squares.

    Args:
        values: (arms, blocks), NaN where there is no run.
        reference: The arm that the others are compared with.

    Returns:
        The differences from the reference, the residuals and the pooled variance.

    Examples:
        >>> import numpy as np
        >>> from cv_attention.statistics import fit_additive
        >>> values = np.array([[0.70, 0.72, np.nan], [0.73, 0.75, 0.74]])  # a run is missing
        >>> fit_additive(values).differences.round(4)
        array([0.  , 0.03])
    """
    values = np.asarray(values, dtype=float)
    present = np.isfinite(values)
    design = _design(present.tobytes(), present.shape, reference)
    observed = values[present]
    observed = observed - observed.mean() if len(observed) else observed  # rounding errors stay small
    residuals = design.residual @ observed
    differences = np.where(design.estimable, design.contrasts @ observed, np.nan)
    variance = float(residuals @ residuals) / design.df if design.df > 0 else float("nan")
    scale = float(np.abs(observed).max(initial=0.0))
    if variance < (1e-12 * scale) ** 2:  # rounding error of equal values
        variance = 0.0
    return AdditiveFit(design, differences, residuals, variance, design.contrasts @ design.contrasts.T)


@lru_cache(maxsize=64)
def _design(cells: bytes, shape: tuple[int, int], reference: int) -> Design:
    present = np.frombuffer(cells, dtype=bool).reshape(shape)
    arms, blocks = shape
    arm, block = np.nonzero(present)
    matrix = np.concatenate([np.eye(arms)[arm], np.eye(blocks)[block]], axis=1)
    inverse = np.linalg.pinv(matrix)
    wanted = np.zeros((arms, arms + blocks))
    wanted[:, :arms] = np.eye(arms)
    wanted[:, reference] -= 1
    contrasts = wanted @ inverse
    estimable = np.asarray(np.isclose(contrasts @ matrix, wanted, atol=1e-8).all(axis=1))
    contrasts[~estimable] = 0
    return Design(
        contrasts=contrasts,
        residual=np.eye(len(arm)) - matrix @ inverse,
        estimable=estimable,
        shared=(present & present[reference]).sum(axis=1),
        df=len(arm) - int(np.linalg.matrix_rank(matrix)) if len(arm) else 0,
    )
