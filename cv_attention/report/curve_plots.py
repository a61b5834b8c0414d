"""Arranges training curves in plots, as the page does: which metrics share one, and the colours of their lines."""

import re
from collections.abc import Sequence

from cv_attention.figures import Line, Plot
from cv_attention.report.choosing import chosen
from cv_attention.report.read.run_directory import Run

Point = tuple[float, int, float]  # epochs trained, step, value
_GROUPS = (  # title, its metrics, whether they are shares
    ("Loss", r"loss", False),
    ("Accuracy", r"acc|top_?\d|_exact$", True),
    ("Character error rate", r"_cer$", True),
    ("Learning rate", r"^lr\b|^lr[-_/]", False),
)
_WORDS = {"epoch": "epochs trained", "step": "steps"}


def curve_plots(
    runs: Sequence[Run], wanted: Sequence[str] | None, *, smoothing: float, log: bool, by: str
) -> list[Plot]:
    """Returns a plot for each group of metrics.

    Args:
        runs: The runs; several have a colour each, and a dash for each metric.
        wanted: Metrics or globs over their names; None takes all.
        smoothing: Weight of the past in exponential moving averages, in [0, 1).
        log: Whether the upright axes are logarithmic; values of 0 and below are then left out.
        by: ``epoch`` or ``step``.

    Raises:
        ValueError: if there is no such metric, or an argument is out of range.
    """
    if not 0 <= smoothing < 1:
        raise ValueError(f"smoothing must be in [0, 1), got {smoothing}")
    if by not in _WORDS:
        raise ValueError(f"by must be epoch or step, got {by!r}")
    known = list(dict.fromkeys(name for run in runs for name in run.metrics.series))
    if not known:
        raise ValueError(f"{', '.join(run.name for run in runs)} logged no curves")
    names = chosen(known, wanted, "metric")
    plots = []
    for title, pattern, share in _GROUPS:
        if members := [name for name in names if re.search(pattern, name)]:
            plots.append(_plot(title, members, share, runs, smoothing, log, by))
    rest = [name for name in names if not any(re.search(pattern, name) for _, pattern, _ in _GROUPS)]
    plots += [_plot(_words(name), [name], False, runs, smoothing, log, by) for name in rest]
    return plots


def smoothed(values: Sequence[float], weight: float) -> list[float]:
    """Returns exponential moving averages with their bias corrected.

    Args:
        values: In order.
        weight: Of the past, in [0, 1).

    Returns:
        As many values.

    Examples:
        >>> from cv_attention.report.curve_plots import smoothed
        >>> smoothed([1.0, 0.0], 0.5)  # (0.5 * 1) / 0.5, then (0.25 * 1 + 0.5 * 0) / 0.75
        [1.0, 0.3333333333333333]
    """
    mean, found = 0.0, []
    for number, value in enumerate(values, 1):
        mean = weight * mean + (1 - weight) * value
        found.append(mean / (1 - weight**number))
    return found


def _plot(title: str, names: list[str], share: bool, runs: Sequence[Run], smoothing: float, log: bool, by: str) -> Plot:
    lines = []
    for number, run in enumerate(runs):
        for name in names:
            points = [p for p in run.metrics.series.get(name, []) if not log or p[2] > 0]
            if not points:
                continue
            metric = title if len(names) == 1 else _words(name)
            label = metric if len(runs) == 1 else run.name if len(names) == 1 else f"{run.name} · {metric}"
            x = [float(point[0] if by == "epoch" else point[1]) for point in points]
            y = smoothed([point[2] for point in points], smoothing)
            colour = number if len(runs) > 1 else _colour(names, name)
            dash = _dash(names, name) if len(runs) > 1 else 0
            lines.append(Line(label, x, y, colour, dash, legend=label != title))
    most = max((line.x[-1] for line in lines), default=0.0)
    return Plot(title, _WORDS[by], lines, log, share, ends_x=(0.0, max(most, 1e-9)), ends_y=_ends(lines, log))


def _ends(lines: Sequence[Line], log: bool) -> tuple[float, float]:
    """Returns the ends of an upright axis: some room around the values, but none below zero."""
    values = [value for line in lines for value in line.y if value > 0 or not log]
    if not values:
        return (0.1, 1.0) if log else (0.0, 1.0)
    low, high = min(values), max(values)
    if log:
        more = (high / low) ** 0.05 * 1.05
        return low / more, high * more
    room = (high - low) * 0.06 or abs(high) * 0.1 or 1.0
    return (max(0.0, low - room) if low >= 0 else low - room), high + room


def _dash(names: list[str], name: str) -> int:
    if name.startswith("train"):
        return 1
    return (0, 2, 3)[[other for other in names if not other.startswith("train")].index(name) % 3]


def _colour(names: list[str], name: str) -> int:
    first = next((other for other in names if other.startswith("train")), None)
    if len(names) == 1 or name == first:
        return 0
    return [other for other in names if other != first].index(name) + 1


def _words(name: str) -> str:
    words = re.sub(r"[_/]+", " ", name).strip()
    return words[:1].upper() + words[1:]
