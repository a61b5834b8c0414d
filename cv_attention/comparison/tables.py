"""Builds one table of a comparison, with verdicts and costs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, median, stdev
from typing import Any

import numpy as np

from cv_attention.comparison.arms import Arm, Block, Values, values
from cv_attention.comparison.cautions import cautions, hardware
from cv_attention.comparison.predictions import OF_CLASSES, OF_TEXTS, Predictions, changed, image_deviation
from cv_attention.comparison.summaries import number
from cv_attention.statistics import Judged, Study, judge
from cv_attention.statistics.verdicts import Verdict


@dataclass(frozen=True)
class Row:
    """Holds the results of one network: its runs, verdict and costs.

    Attributes:
        label: The block, or ``plain``, and the other fields in which the network differs from the others.
        runs: Directories of the finished runs.
        units: Seed or fold of each value.
        values: The metric of each seed, or for folds the mean over each fold's seeds.
        unfinished: Directories of runs without a result.
        mean: Mean of the values; None if there are none.
        deviation: Standard deviation of the values (n - 1); None for fewer than two.
        difference: This network minus the reference, over seeds or folds; None if it cannot be estimated.
        low: Lower end of the interval, simultaneous over all rows of the table; None if there is no verdict.
        high: Upper end of the interval.
        verdict: ``better``, ``worse``, ``equivalent`` or ``unresolved``; ``none`` for the reference, and if nothing can
            be judged.
        within_margin: Whether the difference is shown to lie within the margin.
        more: Approximate number of additional seeds an unresolved row needs; None if not applicable or above 1,000.
        reason: Why there is no verdict.
        parameters: Number of parameters.
        flops: FLOPs of the forward pass of one image.
        training_seconds: Median over the runs.
        images_per_second: Median over the runs, in training.
        hardware: Hardware that the runs were trained on, one entry per kind of machine; empty if not recorded.
        image_deviation: Standard deviation of the accuracy, or of the share of exact texts, due to the choice of test
            images alone; None if predictions were not kept, for other metrics, and for folds.
        gained: For each seed shared with the reference, how many test images only this network gets right.
        lost: For each of these seeds, how many test images only the reference gets right.
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
    """Holds the rows of one table: the networks trained with one recipe.

    Attributes:
        title: How recipe and data differ from those of the other tables; empty if there is only one table.
        reference: Label of the row that the others are compared with; None if the table lacks it.
        rows: One row per network, the reference first.
        residual: Pooled residual standard deviation of a single run; None if it cannot be estimated.
        df: Degrees of freedom of `residual`.
        method: How the intervals were computed; empty if there are none.
        folds: Whether the units are folds of one data set.
        notes: Cautions about fairness and completeness, one line each.
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
    """Holds the settings that all tables share.

    Attributes:
        split: ``test`` or ``val``.
        metric: Name of the metric in ``summary.json``.
        margin: Differences within ± this count as equivalent, in the metric's unit; None: equivalence is not tested.
        alpha: Probability of any wrong verdict in a table.
        higher_is_better: Whether higher values of the metric are better.
    """

    split: str
    metric: str
    margin: float | None
    alpha: float
    higher_is_better: bool = True


def table(title: str, arms: Sequence[Arm], labels: Sequence[str], reference: int | None, question: Question) -> Table:
    """Builds the table of one recipe and judges its arms.

    Args:
        title: How the recipe differs from the others.
        arms: The networks.
        labels: Their names.
        reference: Index of the arm that the others are compared with; None if it is not among them.
        question: Split, metric and margins.
    """
    order = sorted(range(len(arms)), key=lambda arm: arm != reference)  # stable
    arms, labels = [arms[arm] for arm in order], [labels[arm] for arm in order]
    figures = values(arms, question.split, question.metric)
    study = _study(figures, reference is not None, question)
    images = [_images(arm, question) for arm in arms]
    alone = figures.overlap is None  # each value is of one run
    first = images[0] if reference is not None else {}
    return Table(
        title=title,
        reference=labels[0] if reference is not None else None,
        rows=tuple(
            _row(label, arm, figures, number, study.arms[number], _per_image(first, images[number], question, alone))
            for number, (label, arm) in enumerate(zip(labels, arms, strict=True))
        ),
        residual=study.deviation,
        df=study.df,
        method=study.method,
        folds=figures.overlap is not None,
        notes=tuple(cautions(arms, labels, figures, study.spreads, compared=reference is not None, apart=study.apart)),
    )


def _study(figures: Values, compared: bool, question: Question) -> Study:
    count = len(figures.table)
    if not compared or count < 2:
        reason = "the reference" if compared else "no reference under this recipe"
        return Study((Judged(None, None, None, "none", reason=reason),) * count, None, 0, "", (None,) * count)
    return judge(
        figures.table,
        alpha=question.alpha,
        margin=question.margin,
        overlap=figures.overlap,
        higher_is_better=question.higher_is_better,
    )


def _images(arm: Arm, question: Question) -> dict[Block, Predictions]:
    if question.split != "test":
        return {}
    return {
        block: predictions
        for block, run in sorted(arm.finished.items())
        if (predictions := run.predictions()) is not None
    }


def _per_image(
    reference: Mapping[Block, Predictions], own: Mapping[Block, Predictions], question: Question, alone: bool
) -> dict[str, Any]:
    """Compares per-image predictions with the reference's; `alone`: values are of single runs, not means."""
    pairs = [changed(reference[block], own[block]) for block in own if block in reference and own is not reference]
    known = [pair for pair in pairs if pair is not None]
    deviation = image_deviation(list(own.values())) if alone and question.metric in (OF_CLASSES, OF_TEXTS) else None
    gained, lost = tuple(pair[0] for pair in known), tuple(pair[1] for pair in known)
    return {"image_deviation": deviation, "gained": gained, "lost": lost}


def _row(label: str, arm: Arm, figures: Values, number: int, judged: Judged, per_image: Mapping[str, Any]) -> Row:
    row = figures.table[number]
    known = row[np.isfinite(row)].tolist()
    summaries = [run.summary for run in arm.runs]
    finished = [run.summary for run in arm.finished.values()]
    return Row(
        label=label,
        runs=tuple(str(arm.finished[block].path) for block in sorted(arm.finished)),
        units=tuple(unit for unit, value in zip(figures.units, row, strict=True) if np.isfinite(value)),
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
    return (value for summary in summaries if (value := number(summary, name)) is not None)


def _median(figures: Iterator[float]) -> float | None:
    known = list(figures)
    return median(known) if known else None
