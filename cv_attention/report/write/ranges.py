"""Computes from all maps of a column what the page needs to scale their colours."""

import numpy as np
from numpy.typing import NDArray

CLIPPED = (1, 2, 5)  # percent of the values beyond each end, as the page offers them
_MOST_VALUES = 1_000_000  # percentiles of more are those of evenly spaced ones among them
_SUM_TOLERANCE = 0.02  # float16 values add up to one only roughly


def percentiles(finite: NDArray) -> dict[int, list[float]]:
    """Returns percent -> the percentiles (low, high) that leave as many of the finite values beyond each end."""
    flat = finite.ravel()[:: max(1, finite.size // _MOST_VALUES)].astype(np.float32)
    shares = [*CLIPPED, *(100 - percent for percent in CLIPPED)]
    found = [float(f"{value:.7g}") for value in np.percentile(flat, shares)]
    return {percent: [found[i], found[i + len(CLIPPED)]] for i, percent in enumerate(CLIPPED)}


def sums_to_one(values: NDArray) -> bool:
    """Whether every map (N, h, w) holds weights: no value is negative and their sum is one; false of gates (N, C)."""
    if values.ndim != 3 or values.min() < 0:
        return False
    sums = values.astype(np.float64).sum((1, 2))
    return bool((np.abs(sums - 1) <= _SUM_TOLERANCE).all())
