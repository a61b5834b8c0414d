"""Holds the results of an evaluation of saliency methods, and lays them out as tables."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from cv_attention.judging.measures import GOOD, NAMES
from cv_attention.judging.recommendation import Verdict, recommendation
from cv_attention.statistics import Interval
from cv_attention.tables import html_output, html_table

_ARROWS = {"high": " ↑", "low": " ↓"}

Table = tuple[str, list[str], list[list[str]]]


@dataclass
class Judged:
    """Holds the results of `evaluate_saliency`.

    Attributes:
        facts: The setting: checkpoint, split, number of images, target, seed, accuracy on these images, and
            the steps of insertion, deletion and selectivity if given.
        table: Method -> measure -> mean with its interval; the baselines come last.
        agreement: Method -> method -> mean rank correlation of their maps.
        attention: Block's map -> method that explains a class -> mean rank correlation with its interval.
        left_out: What could not be computed -> the reason.
        verdicts: For each measure with a direction, whether the best method is better than the second.
        good: Measure -> whether good maps make it ``high`` or ``low``, else empty; in the order of the columns.

    Examples:
        >>> from cv_attention.judging import Judged
        >>> from cv_attention.statistics import Interval
        >>> judged = Judged(facts={"images": 64}, table={"grad_cam": {"insertion_auc": Interval(0.61, 0.55, 0.67)}})
        >>> judged.table["grad_cam"]["insertion_auc"].mean, judged.good["deletion_auc"]
        (0.61, 'low')
    """

    facts: dict[str, Any]
    table: dict[str, dict[str, Interval]] = field(default_factory=dict)
    agreement: dict[str, dict[str, float]] = field(default_factory=dict)
    attention: dict[str, dict[str, Interval]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    verdicts: list[Verdict] = field(default_factory=list)
    good: dict[str, str] = field(default_factory=lambda: {name: GOOD.get(name, "") for name in NAMES})

    def _repr_html_(self) -> str:
        parts = [part for title, header, rows in tables(self) for part in (title, html_table(header, rows, left=1))]
        return html_output(*parts, *(f"left out: {what}: {why}" for what, why in self.left_out.items()))


def tables(judged: Judged) -> Iterator[Table]:
    """Yields titles, headers and rows: methods × measures, methods × methods, blocks × class-specific methods."""
    facts = judged.facts
    shown = [name for name in judged.good if any(name in row for row in judged.table.values())]
    header = ["method", *(f"{name.replace('_', ' ')}{_ARROWS.get(judged.good[name], '')}" for name in shown)]
    rows = [[name, *(_cell(row.get(measure)) for measure in shown)] for name, row in judged.table.items()]
    title = (
        f"{facts['images']} images of the {facts['split']} split, accuracy on them {100 * facts['accuracy']:.1f} %; "
        f"target: {facts['target']}. Means with 95 % bootstrap intervals over images. ↑: good maps are high, ↓: low."
    )
    if "steps" in facts:
        title += f" Insertion, deletion and selectivity in {facts['steps']} steps."
    yield title, header, rows
    if judged.agreement:
        names = list(judged.agreement)
        rows = [[name, *(f"{judged.agreement[name][other]:.2f}" for other in names)] for name in names]
        yield "Agreement between methods: mean rank correlation of their maps.", ["method", *names], rows
    if judged.attention:
        names = list(next(iter(judged.attention.values())))
        rows = [[block, *(_cell(row[name], 2) for name in names)] for block, row in judged.attention.items()]
        title = (
            "Attention against attribution: rank correlation of each block's own map with methods that explain a class."
        )
        yield title, ["block's map", *names], rows
    if judged.verdicts:
        rows = [[v.measure, v.best, v.second, str(v.gain), _outcome(v)] for v in judged.verdicts]
        title = (
            "The two best methods on each measure: mean of the images' differences, 95 % paired bootstrap interval. "
            + recommendation(judged.verdicts)
        )
        yield title, ["measure", "best", "second", "better by", "outcome"], rows


def _outcome(verdict: Verdict) -> str:
    return f"at least {verdict.gain.low:.3f}" if verdict.resolved else "unresolved"


def _cell(found: Interval | None, digits: int = 3) -> str:
    if found is None:
        return "-"
    return f"{found.mean:.{digits}f} [{found.low:.{digits}f}, {found.high:.{digits}f}]"
