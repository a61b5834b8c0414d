"""Trains, reports and prices a study: what ``cv-attention study`` does."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from cv_attention.rundir import read_json
from cv_attention.rundir.files import write_text
from cv_attention.rundir.lock import lock
from cv_attention.study.design.plan import Plan
from cv_attention.study.design.trials import Trial
from cv_attention.study.price import finished_seconds, measured_steps
from cv_attention.study.record import Record, StudyFolder, today
from cv_attention.study.reporting.outputs import write_outputs
from cv_attention.study.reporting.results import Results, check_metric, collect
from cv_attention.study.running.driving import DiskFull, Driver, Rules, Stopped
from cv_attention.study.running.engine import Engine, EngineLost
from cv_attention.study.tuning import choose

Say = Callable[[str], None]


@dataclass(frozen=True)
class Limits:
    """Says when a study ends before all of its blocks are trained.

    Attributes:
        budget: Seconds for this call; None has no limit.
        width: Half width, in the unit of the study file, that no interval on the validation split exceeds; None trains
            all blocks.
        retry: Whether trials that have failed are trained again.

    Examples:
        >>> from cv_attention.study import Limits
        >>> Limits(budget=8 * 3600).width is None
        True
    """

    budget: float | None = None
    width: float | None = None
    retry: bool = False


def train(
    plan: Plan, folder: StudyFolder, engine: Engine, limits: Limits, say: Say, commands: Sequence[str]
) -> Results:
    """Trains what is missing of a study, and writes its results.

    Args:
        plan: The study.
        folder: Its folder.
        engine: Where trials are trained.
        limits: When to end before all blocks are trained.
        say: Prints a line.
        commands: Commands to list among the methods.

    Returns:
        What can be shown of the results.

    Raises:
        ValueError: if another process trains a study of this folder, a file in it is damaged, a block has no such
            option, or runs have no such metric.
        Stopped: after Ctrl-C, SIGTERM and the like; all processes have ended, and the same call continues.
        DiskFull: if a trial could not be written.
        EngineLost: if the machines cannot be reached any more.

    Examples:
        >>> from pathlib import Path
        >>> from cv_attention.study import Limits, LocalEngine, StudyFolder, make_plan, train
        >>> plan = make_plan(Path("configs/studies/digits.yaml"))  # doctest: +SKIP
        >>> folder = StudyFolder(Path("studies"), plan.name)  # doctest: +SKIP
        >>> results = train(plan, folder, LocalEngine(2), Limits(), print, [])  # doctest: +SKIP
        >>> results.parts[0].main.tables[0].rows[1].verdict  # doctest: +SKIP
        'unresolved'
    """
    plan.check()
    with _locked(folder):
        record = _adopted(plan, folder, say)
        _continued(plan, record, limits)
        record.commands = list(dict.fromkeys([*record.commands, *commands]))
        record.write(folder.plan)
        try:
            with _opened(engine, folder):
                why = _drive(plan, folder, engine, limits, say, record)
        except (Stopped, DiskFull, EngineLost):
            _write(plan, folder, record, _collected(plan, folder, record), commands)
            raise
        if why:
            say(why)
        results = _collected(plan, folder, record)
        if not results.sealed and not record.opened:
            record.open()
        if results.complete:
            _measure(plan, folder, engine.threads, say)
        record.write(folder.plan)
        _write(plan, folder, record, results, commands)
    return results


def report(plan: Plan, folder: StudyFolder, commands: Sequence[str], say: Say, *, write: bool = True) -> Results:
    """Collects what can be shown of a study's results, and writes it; trains nothing.

    Args:
        plan: The study.
        folder: Its folder.
        commands: Commands to list among the methods.
        say: Prints a line.
        write: Whether files are written.

    Returns:
        The results.

    Raises:
        ValueError: if files are to be written while another process trains a study of this folder, or a file in it is
            damaged.

    Examples:
        >>> from pathlib import Path
        >>> from cv_attention.study import StudyFolder, make_plan, report
        >>> _ = Path("base.yaml").write_text("seed: 0")
        >>> _ = Path("toy.yaml").write_text("{base: base.yaml, networks: {plain: {}, se: {model.block: se}}, seeds: 4}")
        >>> folder = StudyFolder(Path("studies"), "toy")
        >>> report(make_plan(Path("toy.yaml")), folder, ["cv-attention study toy.yaml"], print).sealed
        True
        >>> sorted(path.name for path in folder.out.iterdir())[:3]
        ['forest.svg', 'front.svg', 'index.html']
    """
    if not write:
        return _collected(plan, folder, _adopted(plan, folder, say))
    with _locked(folder):
        record = _adopted(plan, folder, say)
        results = _collected(plan, folder, record)
        if not results.sealed:
            record.open()
        record.write(folder.plan)
        _write(plan, folder, record, results, commands)
    return results


@contextmanager
def _locked(folder: StudyFolder) -> Iterator[None]:
    folder.root.mkdir(parents=True, exist_ok=True)
    release = lock(folder.lock)
    if release is None:
        raise ValueError(f"another process is training the studies of {folder.root}; --status shows how far it is")
    try:
        yield
    finally:
        release()


@contextmanager
def _opened(engine: Engine, folder: StudyFolder) -> Iterator[None]:
    engine.open(folder.root)
    try:
        yield
    finally:
        engine.close()


def _adopted(plan: Plan, folder: StudyFolder, say: Say) -> Record:
    """Reads the record, and says what has changed since it was written."""
    record = Record.read(folder.plan)
    opened = bool(record.opened)
    if lines := record.adopt(plan.described()):
        after = ", after the test results had been opened: the report says so" if opened else ""
        say(f"the study has changed since the last run{after}")
        for line in lines:
            say(f"  {line}")
    return record


def _continued(plan: Plan, record: Record, limits: Limits) -> None:
    """Notes that a study goes on after a rule had ended it."""
    if not record.stopped or limits.width is not None:
        return
    seeds, rule = record.stopped.get("seeds"), record.stopped.get("rule")
    what = f"continued to {len(plan.seeds)} seeds after {rule} had ended the study with {seeds}"
    record.changes.append({"at": today(), "opened": bool(record.opened), "what": [what]})
    record.stopped = {}


def _drive(plan: Plan, folder: StudyFolder, engine: Engine, limits: Limits, say: Say, record: Record) -> str:
    """Trains the tuning trials, then the study's; returns a line that says why not all are trained."""
    driver = Driver(folder, engine, say, retry=limits.retry, check=lambda trial: check_metric(plan, folder, trial))
    tuning = [trial for trials in plan.tuning(folder.trials).values() for each in trials for trial in each]
    if tuning:
        seeds = sorted({trial.seed for trial in tuning})
        _, why = driver.drive(_unique(tuning), seeds, Rules(budget=limits.budget, expected=_expected(folder, tuning)))
        if why:
            return "the budget is used up; the hyperparameters are not chosen yet"
    chosen = choose(plan, folder) or {}
    record.chosen = [{"arm": arm, "recipe": recipe, "values": values} for (arm, recipe), values in chosen.items()]
    trials = plan.trials(folder.trials, chosen)
    enough = None if limits.width is None else _enough(plan, folder, trials, limits.width)
    rules = Rules(enough, limits.budget, _expected(folder, trials))
    complete, why = driver.drive(_unique(trials), plan.seeds, rules)
    if why == "enough":
        record.stopped = {"seeds": complete, "rule": f"width={limits.width:g}"}
        return f"no interval is wider than ±{limits.width:g} on the validation split after {complete} seeds"
    if why == "budget":
        return f"the budget is used up after {complete} of {len(plan.seeds)} blocks; the same command continues"
    record.stopped = {}
    return ""


def _unique(trials: Sequence[Trial]) -> list[Trial]:
    return list({trial.name: trial for trial in trials}.values())


def _expected(folder: StudyFolder, trials: Sequence[Trial]) -> Callable[[Sequence[Trial]], float]:
    """Returns a function that foresees the seconds of trials from those that have finished."""

    def expected(left: Sequence[Trial]) -> float:
        known = finished_seconds(folder, trials)
        mean = sum(known.values()) / len(known) if known else 0.0
        return sum(known.get((trial.arm, trial.recipe), mean) for trial in left)

    return expected


def _enough(plan: Plan, folder: StudyFolder, trials: Sequence[Trial], width: float) -> Callable[[int], bool]:
    """Returns whether no interval on the validation split is wider than ±`width`, given complete blocks."""

    def enough(blocks: int) -> bool:
        if blocks < 2:
            return False
        seen = collect(plan, folder, Record(stopped={"seeds": blocks}), trials, sealed=True)
        halves = [half for part in seen.parts for half in _halves(part.main, seen.unit)]
        return bool(halves) and all(half <= width for half in halves)

    return enough


def _halves(comparison: Any, unit: float) -> Iterator[float]:
    for table in comparison.tables if comparison else ():
        for row in table.rows:
            if row.low is not None and row.high is not None:
                yield unit * (row.high - row.low) / 2
            elif row.reason != "the reference":
                yield float("inf")


def _collected(plan: Plan, folder: StudyFolder, record: Record) -> Results:
    chosen = choose(plan, folder)
    return collect(plan, folder, record, plan.trials(folder.trials, chosen or {}), sealed=chosen is None)


def _measure(plan: Plan, folder: StudyFolder, threads: int, say: Say) -> None:
    """Measures what a training step of each arm costs, in turns, once nothing else is trained."""
    from cv_attention.training.devices.machine import processor

    arms = {arm.name: plan.experiments[arm.name, plan.recipes[0]] for arm in plan.arms}
    key = {name: experiment.fingerprint() for name, experiment in arms.items()}
    if _costs(folder).get("arms") == key:
        return
    say("measuring training steps of all arms in turns")
    try:
        steps = measured_steps({(name, ""): experiment for name, experiment in arms.items()}, threads)
    except (ValueError, OSError, RuntimeError) as error:
        say(f"costs cannot be measured: {' '.join(str(error).split())}")
        return
    content = {"machine": processor(), "threads": threads, "arms": key}
    content["steps"] = {name: step.seconds for (name, _), step in steps.items()}
    write_text(folder.costs, json.dumps(content, indent=1) + "\n")


def _costs(folder: StudyFolder) -> dict[str, Any]:
    try:
        found = read_json(folder.costs)
        steps = found.get("steps")
        whole = isinstance(steps, dict) and all(isinstance(s, int | float) and 0 < s < 1e6 for s in steps.values())
        return found if whole else {}
    except (ValueError, OSError):
        return {}


def _write(plan: Plan, folder: StudyFolder, record: Record, results: Results, commands: Sequence[str]) -> None:
    write_outputs(plan, folder, record, results, _costs(folder), commands)
