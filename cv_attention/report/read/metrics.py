"""Reads training curves from the CSV files of a run, one file for each start of training."""

import csv
import math
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np

from cv_attention.rundir.layout import RunLayout

LONGEST_LINE = 100_000  # characters of a line; longer lines are damaged, and the csv module rejects them
_MOST_POINTS = 2000  # points of a curve on the page; more than a screen has pixels


@dataclass(frozen=True)
class Metrics:
    """Holds the curves of a run.

    Attributes:
        series: Metric name -> points ``(epochs trained, step, value)`` in order. A value at the end of the
            epoch with index e has e + 1 epochs trained.
        resumed: Epochs trained at which training was resumed.
        infinite: Metric name -> how many of its values are infinite or not a number, which the curves leave out.
    """

    series: dict[str, list[tuple[float, int, float]]] = field(default_factory=dict)
    resumed: list[float] = field(default_factory=list)
    infinite: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Row:
    part: int
    epoch: int | None
    step: int
    values: dict[str, float]
    infinite: tuple[str, ...] = ()


def read_metrics(run: RunLayout) -> Metrics:
    """Reads all ``metrics/<part>/metrics.csv``; a later part's values replace those of the same step or epoch.

    Args:
        run: A run directory; it may have no metrics, and their files may end within a line.

    Returns:
        The joined curves; empty if nothing was logged.
    """
    every = [row for part, path in run.metrics_files() for row in _read_part(part, path)]
    infinite = dict(Counter(name for row in every for name in row.infinite))
    rows = [row for row in every if row.values]
    if not rows:
        return Metrics(infinite=infinite)
    clock = _Clock(rows)
    by_epoch = _is_by_epoch(rows)
    kept: dict[str, dict[int, tuple[float, int, float]]] = {}
    for row in rows:
        epoch = clock.epoch(row)
        for name, value in row.values.items():
            per_epoch = by_epoch or is_per_epoch(name)
            at = float(epoch + 1) if per_epoch else clock.trained(row.step)
            kept.setdefault(name, {})[epoch if per_epoch else row.step] = (round(at, 4), row.step, value)
    series = {name: thinned([points[key] for key in sorted(points)]) for name, points in kept.items()}
    first = {
        row.part: float(row.epoch) if by_epoch and row.epoch is not None else clock.trained(row.step)
        for row in reversed(rows)
    }
    return Metrics(series, [round(first[part], 4) for part in sorted(first)[1:]], infinite)


def _is_by_epoch(rows: list[_Row]) -> bool:
    """Whether every row is of an epoch of its own, and steps do not grow with them, as after a restart of the count."""
    steps = {row.epoch: row.step for row in rows if row.epoch is not None}
    ordered = [steps[epoch] for epoch in sorted(steps)]
    return len(steps) == len(rows) and any(later <= step for step, later in pairwise(ordered))


def is_per_epoch(name: str) -> bool:
    """Whether a metric is logged once an epoch: a validation figure, or a mean over the epoch's training images."""
    return name.startswith("val") or (name.startswith("train_") and name != "train_loss")


def _read_part(part: int, path: Path) -> list[_Row]:
    rows = []
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        for cells in csv.DictReader(line.replace("\0", "") for line in file if len(line) <= LONGEST_LINE):
            metrics = {
                name: text
                for name, text in cells.items()
                if name and name not in ("epoch", "step") and not name.startswith("test")
            }
            values = {name: value for name, text in metrics.items() if (value := _number(text)) is not None}
            infinite = tuple(name for name, text in metrics.items() if _is_infinite(text))
            step, epoch = _number(cells.get("step")), _number(cells.get("epoch"))
            if (values or infinite) and step is not None:
                rows.append(_Row(part, None if epoch is None else int(epoch), int(step), values, infinite))
    return rows


def _is_infinite(text: object) -> bool:
    """Whether a cell says that a number is infinite or none."""
    return isinstance(text, str) and text.strip().lower().lstrip("+-") in ("nan", "inf", "infinity")


def _number(text: object) -> float | None:
    """Parses a cell as a finite number; None if it is empty, not finite or cut short by a kill."""
    try:
        value = float(text) if isinstance(text, str) else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def thinned(points: list[tuple[float, int, float]], most: int = _MOST_POINTS) -> list[tuple[float, int, float]]:
    """Returns at most `most` evenly spaced points, including the last one."""
    if len(points) <= most:
        return points
    chosen = np.linspace(0, len(points) - 1, most).round().astype(int)
    return [points[i] for i in chosen]


class _Clock:
    """Converts steps to epochs trained, by the last step seen in every epoch.

    Args:
        rows: All rows of all parts; some loggers omit the epoch.
    """

    def __init__(self, rows: list[_Row]) -> None:
        ends: dict[int, int] = {}
        for row in rows:
            if row.epoch is not None:
                ends[row.epoch] = max(ends.get(row.epoch, row.step), row.step)
        if not ends:
            ends = {0: max(row.step for row in rows)}
        self._epochs = sorted(ends)
        start = -1 if self._epochs[0] <= 0 else min(row.step for row in rows) - 1
        self._ends = np.maximum.accumulate([ends[epoch] for epoch in self._epochs])
        knots = np.concatenate([[start], self._ends]).astype(float)
        lengths = np.diff(knots)
        if len(lengths) > 1:  # an interrupted epoch is as long as the others
            knots[-1] = knots[-2] + max(lengths[-1], median(lengths[:-1]))
        self._knots = knots
        self._trained = np.array([self._epochs[0], *(epoch + 1 for epoch in self._epochs)], dtype=float)

    def epoch(self, row: _Row) -> int:
        """Returns the row's epoch index, derived from its step if missing."""
        if row.epoch is not None:
            return row.epoch
        return self._epochs[min(int(np.searchsorted(self._ends, row.step)), len(self._epochs) - 1)]

    def trained(self, step: int) -> float:
        """Returns the epochs trained at `step`, as a fraction."""
        return float(np.interp(step, self._knots, self._trained))
