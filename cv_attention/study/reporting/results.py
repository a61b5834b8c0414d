"""Collects the results of a study; the test results only once its planned blocks are complete."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from cv_attention.comparison import Comparison, Row, compare
from cv_attention.comparison.runs import RATES, SHARES, USUAL
from cv_attention.comparison.text import Unit, as_html
from cv_attention.rundir import summary
from cv_attention.statistics import interaction
from cv_attention.study.design.arms import IDENTITY
from cv_attention.study.design.plan import Plan
from cv_attention.study.design.trials import State, Trial, state
from cv_attention.study.record import Record, StudyFolder
from cv_attention.study.reporting.gates import Gates, collect_gates, gates_table
from cv_attention.suggest import suggest
from cv_attention.tables import Markup, html_output, html_table

_SECTIONS = {"test": "test", "val": "validation"}


@dataclass(frozen=True)
class Outcome:
    """What has become of one trial.

    Attributes:
        trial: The trial.
        state: How far it has come.
        reason: Why it failed.
        summary: Its ``summary.json``, without the test results while they are sealed.
    """

    trial: Trial
    state: State
    reason: str
    summary: Mapping[str, Any]


@dataclass(frozen=True)
class Part:
    """Results of one recipe.

    Attributes:
        recipe: Its name.
        main: All arms but the A/A arms, each minus the reference; None while nothing has finished.
        controls: Network -> its controls, each minus the network.
        honest: A line for each A/A arm.
        gates: How much trained networks use their gates, if the study measures that; empty while the test is sealed.
    """

    recipe: str
    main: Comparison | None
    controls: Mapping[str, Comparison]
    honest: tuple[str, ...]
    gates: tuple[Gates, ...] = ()


@dataclass(frozen=True)
class Results:
    """Results of a study.

    Attributes:
        split: ``test``, or ``val`` while the test results are sealed.
        blocks: How many blocks are complete.
        planned: How many are planned, after a rule that ended the study.
        parts: One per recipe.
        interaction: p value of the network × recipe interaction for two recipes, otherwise None.
        outcomes: All trials, by arm, recipe and seed.
        metric: The metric.
        unit: Factor from the metric's unit to that of the file: 100 for accuracies and error rates.
        notes: Lines about the whole study.
        screen: Whether it is a screen, whose test results are never shown.

    Examples:
        >>> from pathlib import Path
        >>> from cv_attention.study import StudyFolder, make_plan, report
        >>> _ = Path("base.yaml").write_text("seed: 0")
        >>> _ = Path("toy.yaml").write_text("{base: base.yaml, networks: {plain: {}, se: {model.block: se}}, seeds: 4}")
        >>> results = report(make_plan(Path("toy.yaml")), StudyFolder(Path("studies"), "toy"), [], print, write=False)
        >>> results.split, results.blocks, results.planned  # nothing is trained, so the test is sealed
        ('val', 0, 4)
    """

    split: Literal["test", "val"]
    blocks: int
    planned: int
    parts: tuple[Part, ...]
    interaction: float | None
    outcomes: tuple[Outcome, ...]
    metric: str
    unit: float
    notes: tuple[str, ...] = field(default=())
    screen: bool = False

    @property
    def complete(self) -> bool:
        """Whether all planned blocks are trained."""
        return self.blocks == self.planned

    @property
    def why_sealed(self) -> str:
        """Why the test results are not shown; empty where they are."""
        if self.screen:
            return "a screen, judged on the validation split: a study with other seeds has to confirm what it finds"
        return "the test results are sealed until all blocks are complete" if self.sealed else ""

    @property
    def sealed(self) -> bool:
        """Whether the test results are not shown."""
        return self.split == "val"

    @property
    def failed(self) -> list[Outcome]:
        """Trials that have failed."""
        return [outcome for outcome in self.outcomes if outcome.state == "failed"]

    def _repr_html_(self) -> str:
        sealed = f"; validation results, {self.why_sealed}" if self.sealed else ""
        parts = [f"{self.blocks} of {self.planned} blocks complete{sealed}"]
        for part in self.parts:
            comparisons = {"": part.main} | {f"controls of {name}": one for name, one in part.controls.items()}
            for title, comparison in comparisons.items():
                shown = [] if comparison is None else [as_html(comparison)]
                named = ", ".join(word for word in (part.recipe, title) if word)
                parts += [named, *map(Markup, shown)]
            parts += part.honest
            for gates in part.gates:
                parts += [f"gates of {gates.arm} replaced at test", html_table(*gates_table(gates, self.metric))]
                parts += gates.notes
        if self.interaction is not None:
            parts.append(f"network × recipe interaction: p = {self.interaction:.3g}")
        return html_output(*parts, *self.notes)


def collect(
    plan: Plan, folder: StudyFolder, record: Record, trials: Sequence[Trial], *, sealed: bool = False
) -> Results:
    """Collects the results of a study's trials.

    Args:
        plan: The study.
        folder: Its folder.
        record: What it has fixed, and what has changed since.
        trials: The trials that decide; none of tuning.
        sealed: Whether the test results stay sealed even if all planned blocks are complete.

    Returns:
        The results of the test split if all planned blocks are complete, else those of the validation split.
    """
    order = {cell: number for number, cell in enumerate(plan.cells())}
    seeds = plan.seeds[: record.stopped.get("seeds", len(plan.seeds))] if record.stopped else plan.seeds
    planned = [trial for trial in trials if trial.seed in seeds]
    planned.sort(key=lambda trial: (order[trial.arm, trial.recipe], plan.seeds.index(trial.seed)))
    states = {t.name: state(folder.run(t.name), t.experiment, t.at_test) for t in planned}
    done = {trial.name for trial in planned if states[trial.name][0] in ("finished", "failed")}
    hidden = sealed or plan.file.screen
    split: Literal["test", "val"] = "test" if len(done) == len(planned) and not hidden else "val"
    outcomes = tuple(_outcome(trial, states[trial.name], folder, split) for trial in planned)
    metric = _metric(plan, outcomes, split)
    counted = [outcome for outcome in outcomes if outcome.state in ("finished", "failed")]
    parts = tuple(_part(plan, folder, recipe, counted, split, metric) for recipe in plan.recipes)
    complete = sum(all(trial.name in done for trial in planned if trial.seed == seed) for seed in seeds)
    unit = 100 if metric in (*SHARES, *RATES) else 1
    notes = (*_stopped(plan, record), *record.notes(), *_set_aside(folder, planned))
    found = _interaction(parts)
    return Results(split, complete, len(seeds), parts, found, outcomes, metric, unit, notes, plan.file.screen)


def check_metric(plan: Plan, folder: StudyFolder, trial: Trial) -> None:
    """Makes sure that a finished trial has the metric that the study file names, before the others are trained.

    Raises:
        ValueError: naming the metric and those that there are; the values stay sealed.
    """
    known = list(summary.read(folder.run(trial.name)).get("test") or ())
    if plan.file.metric not in (None, "probability", *known):
        hint = suggest(str(plan.file.metric), [*known, "probability"])
        raise ValueError(f"{plan.path}: metric {plan.file.metric!r} is unknown{hint}")


def _outcome(trial: Trial, found: tuple[State, str], folder: StudyFolder, split: str) -> Outcome:
    """Reads a trial; whatever its test says is dropped here, unless the results are opened."""
    try:
        known = summary.read(folder.run(trial.name))
    except (ValueError, OSError):
        known = {}
    if split != "test":
        known = {name: value for name, value in known.items() if name not in ("test", "files", "in_use")}
    return Outcome(trial, found[0], found[1], known)


def _metric(plan: Plan, outcomes: Sequence[Outcome], split: str) -> str:
    """Returns the metric; where the validation split does not have it, such as ``probability``, the usual one."""
    known = {name for outcome in outcomes for name in outcome.summary.get(_SECTIONS[split]) or ()}
    usual = next((name for name in USUAL if name in known), USUAL[0])
    wanted = plan.file.metric or usual
    return usual if split == "val" and known and wanted not in known else wanted


def _part(
    plan: Plan, folder: StudyFolder, recipe: str, counted: Sequence[Outcome], split: Literal["test", "val"], metric: str
) -> Part:
    names = {folder.run(o.trial.name): o.trial.arm for o in counted if o.trial.recipe == recipe}
    same = [arm.name for arm in plan.arms if arm.control == IDENTITY]

    def compared(arms: Sequence[str], reference: str) -> Comparison | None:
        runs = [path for path, arm in names.items() if arm in arms]
        if reference not in {names[path] for path in runs} or not _finished(runs, counted, folder):
            return None
        scale = 100 if metric in (*SHARES, *RATES) else 1
        return compare(
            runs,
            split=split,
            metric=metric,
            reference=reference,
            margin=None if plan.file.margin is None else plan.file.margin / scale,
            alpha=plan.file.alpha,
            higher_is_better=plan.file.higher_is_better,
            arms={path: names[path] for path in runs},
        )

    main = compared([arm.name for arm in plan.arms if arm.name not in same], plan.reference)
    controls = {}
    for network in dict.fromkeys(arm.network for arm in plan.arms if arm.control and arm.control != IDENTITY):
        own = [arm.name for arm in plan.arms if arm.network == network and arm.control != IDENTITY]
        if (found := compared(own, network)) is not None and len(found.tables[0].rows) > 1:
            controls[network] = found
    honest = [_honest(name, plan.reference, compared([name, plan.reference], plan.reference)) for name in same]
    tested = [o.trial for o in counted if o.state == "finished" and o.trial.recipe == recipe and split == "test"]
    gates = collect_gates(tested, folder, metric, plan.file.alpha)
    return Part(recipe, main, controls, tuple(filter(None, honest)), gates)


def _finished(runs: Sequence[Path], counted: Sequence[Outcome], folder: StudyFolder) -> bool:
    return any(o.state == "finished" and folder.run(o.trial.name) in runs for o in counted)


def _honest(name: str, reference: str, found: Comparison | None) -> str:
    """Says whether an A/A arm, a block that does nothing, equals the reference.

    It stays out of the other tables: on a processor its runs repeat the reference's to the last digit, and the same
    numbers twice would make the spread of a run look smaller than it is.
    """
    row = _row(found, name)
    if found is None or row is None or row.difference is None:
        return ""
    plain = _row(found, reference)
    shared = set(row.units) & set(plain.units if plain else ())
    both = [{u: v for u, v in zip(r.units, r.values, strict=True) if u in shared} for r in (row, plain) if r]
    count = f"{len(shared)} seed{'s' * (len(shared) != 1)}"
    if both[0] == both[1]:
        return f"A/A: {name} equals {reference} in all {count}, as a block that does nothing must"
    unit = Unit(found.metric)
    if row.verdict in ("better", "worse"):
        return (
            f"A/A: {name} does nothing, yet differs from {reference} by {unit.signed(row.difference)}{unit.points}: "
            "something else than the block differs, so no verdict of this study counts"
        )
    return (
        f"A/A: {name} does nothing and differs from {reference} by {unit.signed(row.difference)}{unit.points}: chance "
        "alone, such as operations that are not deterministic"
    )


def _row(found: Comparison | None, name: str) -> Row | None:
    rows = [row for table in (found.tables if found else ()) for row in table.rows if row.label == name]
    return rows[0] if rows else None


def _interaction(parts: Sequence[Part]) -> float | None:
    """Tests whether the differences depend on the recipe, if there are two."""
    if len(parts) != 2 or any(part.main is None or len(part.main.tables) != 1 for part in parts):
        return None
    rows = [{row.label: row for row in part.main.tables[0].rows} for part in parts if part.main]
    arms = [label for label in rows[0] if label in rows[1]]
    units = sorted({unit for each in rows for row in each.values() for unit in row.units})
    tables = [np.full((len(arms), len(units)), np.nan) for _ in rows]
    for table, each in zip(tables, rows, strict=True):
        for number, label in enumerate(arms):
            for unit, value in zip(each[label].units, each[label].values, strict=True):
                table[number, units.index(unit)] = value
    return interaction(tables[0], tables[1], 0)


def _stopped(plan: Plan, record: Record) -> list[str]:
    if not record.stopped:
        return []
    seeds, rule = record.stopped.get("seeds"), record.stopped.get("rule")
    return [f"ended after {seeds} of {len(plan.seeds)} planned seeds by the rule {rule}, on the validation split"]


def _set_aside(folder: StudyFolder, trials: Sequence[Trial]) -> list[str]:
    """Notes trials that were trained again since their directory was damaged."""
    found = [path.name for trial in trials for path in sorted(folder.trials.glob(f"{trial.name}.damaged-*"))]
    return [f"trained again, since the directory was damaged: {', '.join(found)}"] if found else []
