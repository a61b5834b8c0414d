"""Computes bootstrap intervals for a mean over images (Efron, 1979)."""

from typing import NamedTuple

import torch
from torch import Tensor


class Interval(NamedTuple):
    """Holds a mean and its confidence bounds."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


def bootstrap(values: Tensor, *, confidence: float = 0.95, resamples: int = 2000, seed: int = 0) -> Interval:
    """Computes the mean of one value per image, with a percentile bootstrap interval.

    Args:
        values: (N,), bool or numbers.
        confidence: Confidence level in (0, 1).
        resamples: Number of resamples of the N values.
        seed: Seed of the draws.

    Raises:
        ValueError: if there are no values, one is not finite, or an argument is out of range.
    """
    values = values.detach().cpu().double()
    if values.ndim != 1 or not len(values) or not bool(values.isfinite().all()):
        raise ValueError(f"values must be a list of finite numbers, got shape {tuple(values.shape)}")
    if not 0 < confidence < 1 or resamples < 1:
        raise ValueError(f"confidence must be in (0, 1) and resamples at least 1, got {confidence} and {resamples}")
    generator = torch.Generator().manual_seed(seed)
    means = torch.empty(resamples, dtype=torch.double)
    for k in range(resamples):  # one by one: N may be 50,000
        means[k] = values[torch.randint(len(values), (len(values),), generator=generator)].mean()
    low, high = means.quantile(torch.tensor([(1 - confidence) / 2, (1 + confidence) / 2], dtype=torch.double)).tolist()
    return Interval(float(values.mean()), low, high)
