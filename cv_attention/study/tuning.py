"""Chooses the hyperparameters of each arm by its tuning trials, on the validation split."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from cv_attention.comparison.direction import stated
from cv_attention.comparison.runs import USUAL, Run, read
from cv_attention.study.design.plan import Plan
from cv_attention.study.design.trials import Trial, state
from cv_attention.study.record import StudyFolder

Cell = tuple[str, str]


def choose(plan: Plan, folder: StudyFolder) -> dict[Cell, dict[str, Any]] | None:
    """Chooses, for each arm and recipe, the candidate with the best mean of the validation metric.

    A candidate of which a training run has failed comes last; of equal ones the first in the file is taken.

    Args:
        plan: The study.
        folder: Its folder.

    Returns:
        (arm, recipe) -> hyperparameters; empty without `tune`, and None while a tuning trial is missing.
    """
    tuning = plan.tuning(folder.trials)
    candidates = plan.candidates()
    chosen = {}
    for cell, trials in tuning.items():
        figures = [_figure(plan, folder, each) for each in trials]
        if any(figure is None for figure in figures):
            return None
        known = [figure for figure in figures if figure is not None]
        chosen[cell] = dict(candidates[max(range(len(known)), key=lambda number: (known[number], -number))])
    return chosen


def _figure(plan: Plan, folder: StudyFolder, trials: Sequence[Trial]) -> float | None:
    """Returns the mean of a candidate, higher is better; -inf after a failure, None while one is missing."""
    states = [state(folder.run(trial.name), trial.experiment)[0] for trial in trials]
    if not all(each in ("finished", "failed") for each in states):
        return None
    if "failed" in states:
        return -math.inf
    runs = [read(Path(folder.run(trial.name))) for trial in trials]
    metric = _metric(plan, runs)
    values = [run.figure("val", metric) for run in runs]
    if any(value is None for value in values):
        return -math.inf
    known = [value for value in values if value is not None]
    better = plan.file.higher_is_better
    better = stated(metric, runs) if better is None else better
    return mean(known) * (-1 if better is False else 1)


def _metric(plan: Plan, runs: Sequence[Run]) -> str:
    known: Mapping[str, float] = runs[0].figures("val")
    usual = next((name for name in USUAL if name in known), USUAL[0])
    return plan.file.metric if plan.file.metric in known else usual  # pyright: ignore[reportReturnType]
