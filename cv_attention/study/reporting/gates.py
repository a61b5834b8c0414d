"""Collects how much trained networks use their gates: how the test metric changes once means replace them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cv_attention.comparison.text import Unit
from cv_attention.rundir import read_sealed
from cv_attention.statistics import Interval, student
from cv_attention.study.design.trials import Trial, measured_file
from cv_attention.study.record import STUDY_FORMAT, StudyFolder
from cv_attention.study.running.at_test import GATES_REPLACED
from cv_attention.tables import markdown_table

ALL = "all gates"


@dataclass(frozen=True)
class GateRow:
    """What replacing one gate, or all of them, does to a network.

    Attributes:
        site: Name of the gate, or ``all gates``.
        values: Metric with the gate replaced by its mean, minus the metric of the network as it is: one for each seed.
        interval: Their mean with its interval, which holds for all rows of the network at once.
    """

    site: str
    values: tuple[float, ...]
    interval: Interval


@dataclass(frozen=True)
class Gates:
    """How much the trained networks of one arm use their gates.

    Attributes:
        arm: The arm.
        rows: One for all gates, and one for each of several, in the order of the network.
        alpha: Probability that any of their intervals misses.
        notes: What could not be measured.
    """

    arm: str
    rows: tuple[GateRow, ...]
    alpha: float
    notes: tuple[str, ...] = ()


def collect_gates(trials: Sequence[Trial], folder: StudyFolder, metric: str, alpha: float) -> tuple[Gates, ...]:
    """Collects what was measured of the gates of finished trials of one recipe.

    Args:
        trials: The trials, those of an arm one after the other.
        folder: The study's folder.
        metric: The test metric.
        alpha: Probability that any interval of an arm misses; divided by the number of its rows (Bonferroni).

    Returns:
        One entry for each arm whose networks have gates, or could not be measured.
    """
    arms = dict.fromkeys(trial.arm for trial in trials if GATES_REPLACED in trial.at_test)
    found = [_of_arm(arm, [t for t in trials if t.arm == arm], folder, metric, alpha) for arm in arms]
    return tuple(gates for gates in found if gates.rows or gates.notes)


def _of_arm(arm: str, trials: Sequence[Trial], folder: StudyFolder, metric: str, alpha: float) -> Gates:
    values: dict[str, list[float]] = {}
    notes = []
    for trial in trials:
        try:
            found = read_sealed(measured_file(folder.run(trial.name), GATES_REPLACED), STUDY_FORMAT)
            if "error" in found:
                raise ValueError(str(found["error"]))
            for site, difference in _differences(found, metric):
                values.setdefault(site, []).append(difference)
        except (ValueError, OSError, KeyError, TypeError, AttributeError) as error:
            notes.append(f"seed {trial.seed}: gates could not be replaced: {' '.join(str(error).split())}")
    confidence = 1 - alpha / max(1, len(values))
    rows = (GateRow(site, tuple(each), student(each, confidence=confidence)) for site, each in values.items())
    return Gates(arm, tuple(rows), alpha, tuple(notes))


def _differences(found: Mapping[str, Any], metric: str) -> Iterator[tuple[str, float]]:
    """Yields all gates, and each where there are several."""
    if not found["sites"]:
        return
    kept = found["kept"]
    if metric not in kept:
        raise ValueError(f"the test step does not measure {metric}, but {', '.join(kept)}")
    yield ALL, float(found["all"][metric]) - float(kept[metric])
    if len(found["sites"]) > 1:
        for site, figures in found["sites"].items():
            yield site, float(figures[metric]) - float(kept[metric])


def gates_table(gates: Gates, metric: str) -> tuple[list[str], list[list[str]]]:
    """Returns header and cells of an arm's table.

    Args:
        gates: What was collected of the arm.
        metric: The test metric.
    """
    unit = Unit(metric)
    header = ["gate replaced by its mean", "seeds", f"minus {gates.arm} [{100 * (1 - gates.alpha):.10g} %]"]
    cells = []
    for row in gates.rows:
        mean, low, high = row.interval
        interval = f" [{unit.signed(low)}, {unit.signed(high)}]" if len(row.values) > 1 else ""
        cells.append([row.site, str(len(row.values)), f"{unit.signed(mean)}{interval}"])
    return header, cells


def gates_text(gates: Sequence[Gates], metric: str) -> list[str]:
    """Returns lines of Markdown: a table for each arm.

    Args:
        gates: What was collected.
        metric: The test metric.
    """
    lines = []
    for each in gates:
        lines += ["", f"### Gates of {each.arm} replaced at test", ""]
        lines += [markdown_table(*gates_table(each, metric)), ""] if each.rows else []
        lines += [f"- {note}" for note in each.notes]
    return lines


def gates_values(gates: Gates) -> dict[str, Any]:
    """Returns what was collected of an arm as plain values; the interval of a single seed has no ends.

    Args:
        gates: What was collected.
    """
    rows = [
        {
            "site": row.site,
            "values": list(row.values),
            "mean": row.interval.mean,
            "low": row.interval.low if len(row.values) > 1 else None,
            "high": row.interval.high if len(row.values) > 1 else None,
        }
        for row in gates.rows
    ]
    return {"arm": gates.arm, "rows": rows, "notes": list(gates.notes)}
