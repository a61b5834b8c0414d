"""Says what a study will train, what that costs and what it can show, before anything is trained."""

from collections import Counter
from collections.abc import Iterator, Sequence

from cv_attention.statistics import detectable, seeds_needed
from cv_attention.study.design.plan import Plan
from cv_attention.study.design.trials import Trial, state
from cv_attention.study.price import Cell, finished_seconds, measured_steps
from cv_attention.study.record import Record, StudyFolder
from cv_attention.study.reporting.results import collect
from cv_attention.study.tuning import choose


def dry_run(plan: Plan, folder: StudyFolder, workers: int, threads: int) -> Iterator[str]:
    """Yields lines about arms, controls, training runs, their price, and what they can show; trains nothing.

    Args:
        plan: The study.
        folder: Its folder, which need not exist.
        workers: How many trials are trained at once.
        threads: Threads of each.

    Returns:
        An iterator over the lines.

    Raises:
        ValueError: if a block has no such option, or a control nothing to change.

    Examples:
        >>> from pathlib import Path
        >>> from cv_attention.study import StudyFolder, dry_run, make_plan
        >>> _ = Path("base.yaml").write_text("seed: 0")
        >>> _ = Path("toy.yaml").write_text("{base: base.yaml, networks: {plain: {}, se: {model.block: se}}, seeds: 4}")
        >>> lines = dry_run(make_plan(Path("toy.yaml")), StudyFolder(Path("studies"), "toy"), workers=2, threads=1)
        >>> next(lines)
        'toy: 2 arms'
    """
    plan.check()
    yield f"{plan.name}: {len(plan.arms)} arms"
    for arm in plan.arms:
        what = "the reference" if arm.name == plan.reference else f"control of {arm.network}" if arm.control else ""
        yield f"  {arm.name}{f': {what}' if what else ''}{f', {arm.note}' if arm.note else ''}"
    tuning = [trial for trials in plan.tuning(folder.trials).values() for each in trials for trial in each]
    chosen = choose(plan, folder)
    trials = plan.trials(folder.trials, chosen or {})
    yield from _counts(plan, folder, tuning, trials)
    yield from _price(plan, folder, [*tuning, *trials], workers, threads)
    yield from _shown(plan, folder, trials)


def _counts(plan: Plan, folder: StudyFolder, tuning: Sequence[Trial], trials: Sequence[Trial]) -> Iterator[str]:
    recipes = f" × {len(plan.recipes)} recipes" if len(plan.recipes) > 1 else ""
    if tuning:
        cells, candidates, seeds = len(plan.arms) * len(plan.recipes), len(plan.candidates()), plan.file.tune.seeds
        yield (
            f"tuning: {len(plan.arms)} arms{recipes} × {candidates} candidates × {seeds} seeds = "
            f"{cells * candidates * seeds} training runs, judged on the validation split"
        )
    counts = Counter(state(folder.run(trial.name))[0] for trial in trials)
    done = f"; {counts['finished']} are finished, {counts['failed']} have failed" if counts["finished"] else ""
    yield f"{len(plan.arms)} arms{recipes} × {len(plan.seeds)} seeds = {len(trials)} training runs{done}"
    if plan.file.controls.at_test:
        yield "after each test, the network is tested again with each of its gates replaced, which the price leaves out"


def _price(plan: Plan, folder: StudyFolder, trials: Sequence[Trial], workers: int, threads: int) -> Iterator[str]:
    """Prices the missing trials by finished ones, and arms without any by measured steps."""
    known: dict[Cell, float] = finished_seconds(folder, trials)
    source = "from finished training runs"
    if missing := {cell: e for cell, e in plan.experiments.items() if cell not in known}:
        steps = measured_steps(missing, threads)
        known |= {cell: step.trial for cell, step in steps.items()}
        source = "from measured forward and backward passes; loading and augmentation of images come on top"
    done = {t.name for t in trials if state(folder.run(t.name))[0] in ("finished", "failed")}
    left = [known[t.arm, t.recipe] for t in trials if t.name not in done]
    for arm in plan.arms:
        each = ", ".join(
            f"{known[arm.name, recipe]:.0f} s{f' ({recipe})' if recipe else ''}" for recipe in plan.recipes
        )
        yield f"  one training run of {arm.name}: {each}"
    hours, several = sum(left) / 3600, f", {workers} at once" if workers > 1 else ""
    yield f"price: {_hours(hours * threads)} of a core, {_hours(hours / workers)} of time{several} ({source})"


def _hours(hours: float) -> str:
    return f"{hours:.1f} hours" if hours >= 1 else f"{60 * hours:.0f} minutes"


def _shown(plan: Plan, folder: StudyFolder, trials: Sequence[Trial]) -> Iterator[str]:
    """Says what the seeds can show, if the spread of a run is known."""
    seen = collect(plan, folder, Record(), trials)
    tables = [table for part in seen.parts if part.main for table in part.main.tables if table.residual]
    unit = " points" if seen.unit == 100 else ""
    if plan.file.deviation is not None:
        deviation, source = plan.file.deviation, "deviation in the study file"
    elif tables and tables[0].residual:
        split = "validation" if seen.sealed else "test"
        deviation, source = seen.unit * tables[0].residual, f"from finished training runs, {split} split"
    else:
        yield "what the seeds can show depends on the spread of a run: give deviation in the file, or train two seeds"
        return
    yield from foreseen(plan, deviation, unit, source)


def foreseen(plan: Plan, deviation: float, unit: str, source: str) -> list[str]:
    """Says what the study's seeds can show, given the standard deviation of one run.

    Args:
        plan: The study.
        deviation: The standard deviation of one run, in the unit of the file.
        unit: The unit's name, such as `` points``.
        source: Where the deviation comes from.
    """
    arms, seeds, margin = len(plan.arms), len(plan.seeds), plan.file.margin
    alpha = plan.file.alpha
    smallest = detectable(seeds, deviation, arms, alpha=alpha)
    lines = [
        f"standard deviation of one run: {deviation:.2f}{unit} ({source})",
        f"smallest difference that {seeds} seeds show with probability 80 %: {smallest:.2f}{unit}",
    ]
    if margin is not None:
        needed = seeds_needed(0.0, deviation, arms, margin=margin, alpha=alpha)
        reachable = needed is not None and needed <= seeds
        words = "can be shown" if reachable else "cannot be expected"
        rest = "" if reachable else f"; it takes {f'{needed} seeds' if needed else 'more than 1,000 seeds'}"
        lines.append(f"equivalence within ±{margin:g}{unit} {words} by {seeds} seeds{rest}")
    return lines
