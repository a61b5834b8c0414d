"""Builds one table of a comparison, with verdicts and costs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, median, stdev
from typing import Any

import numpy as np

from cv_attention.comparison.arms import Arm, Block, Values, values
from cv_attention.comparison.cautions import cautions, hardware
from cv_attention.comparison.predictions import Predictions, changed, image_deviation
from cv_attention.comparison.summaries import number
from cv_attention.statistics import Judged, Study, judge
from cv_attention.statistics.verdicts import Verdict

LOWER_IS_BETTER = ("loss",)


@dataclass(frozen=True)
class Row:
    """The runs of one network.

    Attributes:
        label: The block, or ``plain``, and whatever else tells the network from the others.
        runs: Directories of the finished runs.
        units: Seed, or fold, of each value.
        values: The metric of each seed; of each fold the mean over its seeds.
        unfinished: Directories of runs without a result.
        mean: Mean of the values; None without any.
        deviation: Their standard deviation (n - 1); None for fewer than two.
        difference: Minus the reference, over the seeds or folds; None where it cannot be estimated.
        low: Lower end of the interval, simultaneous over all rows of the table; None without a verdict.
        high: Its upper end.
        verdict: ``reference``, ``better``, ``worse``, ``equivalent``, ``unresolved``, or ``none``.
        within_margin: Whether the difference is shown to lie within the margin.
        more: About how many more seeds an unresolved row needs; None where that does not apply, or is over 1,000.
        reason: Why there is no verdict.
        parameters: Number of parameters.
        flops: Of one image's forward.
        training_seconds: Median over the runs.
        images_per_second: Median over the runs, in training.
        hardware: What the runs were trained on, a line for each kind of machine; empty where it was not recorded.
        image_deviation: How much accuracies spread because of the choice of the test images alone; None where the
            predictions were not kept, for another metric, and for folds.
        gained: For each seed shared with the reference, the test images that this network alone has right.
        lost: Those that the reference alone has right.
    """

    label: str
    runs: tuple[str, ...]
    units: tuple[str, ...]
    values: tuple[float, ...]
    unfinished: tuple[str, ...]
    mean: float | None
    deviation: float | None
    difference: float | None
    low: float | None
    high: float | None
    verdict: Verdict
    within_margin: bool
    more: int | None
    reason: str
    parameters: int | None
    flops: int | None
    training_seconds: float | None
    images_per_second: float | None
    hardware: tuple[str, ...]
    image_deviation: float | None
    gained: tuple[int, ...]
    lost: tuple[int, ...]


@dataclass(frozen=True)
class Table:
    """The networks trained by one recipe.

    Attributes:
        title: What tells the recipe and the data from those of the other tables; empty for the only one.
        reference: Label of the row that the others are compared with; None where the table lacks it.
        rows: One for each network, the reference first.
        residual: Pooled residual standard deviation of one run; None where it cannot be estimated.
        df: Its degrees of freedom.
        method: How the intervals were made; empty where there are none.
        folds: Whether the units are folds of one data set.
        notes: What makes the table less than fair or complete, a line each.
    """

    title: str
    reference: str | None
    rows: tuple[Row, ...]
    residual: float | None
    df: int
    method: str
    folds: bool
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Question:
    """What is asked of every table.

    Attributes:
        split: ``test`` or ``val``.
        metric: Name of the metric in ``summary.json``.
        margin: Differences within ± this count as equivalent, in the metric's unit; None asks for no equivalence.
        alpha: Probability of any wrong verdict in a table.
    """

    split: str
    metric: str
    margin: float | None
    alpha: float


def table(title: str, arms: Sequence[Arm], labels: Sequence[str], reference: int | None, question: Question) -> Table:
    """Judges the arms of one recipe.

    Args:
        title: What tells the recipe from the others.
        arms: The networks.
        labels: Their names.
        reference: Position of the one that the others are compared with; None where it is not among them.
        question: Split, metric and margins.
    """
    order = sorted(range(len(arms)), key=lambda arm: arm != reference)  # stable
    arms, labels = [arms[arm] for arm in order], [labels[arm] for arm in order]
    found = values(arms, question.split, question.metric)
    study = _study(found, reference is not None, question)
    images = [_images(arm, question) for arm in arms]
    alone = found.overlap is None  # each value is of one run
    first = images[0] if reference is not None else {}
    return Table(
        title=title,
        reference=labels[0] if reference is not None else None,
        rows=tuple(
            _row(label, arm, found, number, study.arms[number], _per_image(first, images[number], question, alone))
            for number, (label, arm) in enumerate(zip(labels, arms, strict=True))
        ),
        residual=study.deviation,
        df=study.df,
        method=study.method,
        folds=found.overlap is not None,
        notes=tuple(cautions(arms, labels, found, study.spreads, compared=reference is not None)),
    )


def _study(found: Values, compared: bool, question: Question) -> Study:
    count = len(found.table)
    if not compared or count < 2:
        reason = "the reference" if compared else "no reference under this recipe"
        return Study((Judged(None, None, None, "none", reason=reason),) * count, None, 0, "", (None,) * count)
    return judge(
        found.table,
        alpha=question.alpha,
        margin=question.margin,
        overlap=found.overlap,
        higher_is_better=question.metric not in LOWER_IS_BETTER,
    )


def _images(arm: Arm, question: Question) -> dict[Block, Predictions]:
    if question.split != "test":
        return {}
    return {block: it for block, run in sorted(arm.finished.items()) if (it := run.predictions()) is not None}


def _per_image(
    reference: Mapping[Block, Predictions], own: Mapping[Block, Predictions], question: Question, alone: bool
) -> dict[str, Any]:
    """What the predictions of single images say of a row; `alone`: its values are of single runs, not means."""
    pairs = [changed(reference[block], own[block]) for block in own if block in reference and own is not reference]
    known = [pair for pair in pairs if pair is not None]
    deviation = image_deviation(list(own.values())) if alone and question.metric == "accuracy" else None
    gained, lost = tuple(pair[0] for pair in known), tuple(pair[1] for pair in known)
    return {"image_deviation": deviation, "gained": gained, "lost": lost}


def _row(label: str, arm: Arm, found: Values, number: int, judged: Judged, per_image: Mapping[str, Any]) -> Row:
    figures = found.table[number]
    known = figures[np.isfinite(figures)].tolist()
    summaries = [run.summary for run in arm.runs]
    finished = [run.summary for run in arm.finished.values()]
    return Row(
        label=label,
        runs=tuple(str(arm.finished[block].path) for block in sorted(arm.finished)),
        units=tuple(unit for unit, value in zip(found.units, figures, strict=True) if np.isfinite(value)),
        values=tuple(known),
        unfinished=tuple(str(run.path) for run in arm.unfinished),
        mean=mean(known) if known else None,
        deviation=stdev(known) if len(known) > 1 else None,
        **vars(judged),
        parameters=next(_numbers(summaries, "parameters"), None),
        flops=next(_numbers(summaries, "flops"), None),
        training_seconds=_median(_numbers(finished, "training_seconds")),
        images_per_second=_median(_numbers(finished, "images_per_second")),
        hardware=tuple(hardware(arm)),
        **per_image,
    )


def _numbers(summaries: Sequence[Mapping[str, Any]], name: str) -> Iterator[Any]:
    return (it for one in summaries if (it := number(one, name)) is not None)


def _median(figures: Iterator[float]) -> float | None:
    known = list(figures)
    return median(known) if known else None
