"""``--resume auto``: of the runs that have this name, model and seed, the one to go on with."""

import glob
import json
import re
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

from cv_attention.cli.parsing import read_experiment
from cv_attention.config import Experiment
from cv_attention.rundir import summary
from cv_attention.rundir.layout import RunLayout

# What a run's own configuration says more exactly than the one asked for: it was filled in from pretrained weights.
_FILLED_IN = ("data.mean", "data.std", "data.train_transforms", "data.eval_transforms")


@dataclass(frozen=True)
class Choice:
    """What ``--resume auto`` comes to.

    Attributes:
        run: The run to go on with; None starts a new one.
        said: One line about it.
        finished: Whether there is nothing left to do.
    """

    run: Path | None
    said: str
    finished: bool = False


@dataclass(frozen=True)
class _Candidate:
    run: Path
    other: list[str]  # what decides results and is not what is asked for
    epochs: int
    finished: bool
    saved: float | None  # when its newest checkpoint was written
    since: float


def choose(experiment: Experiment) -> Choice:
    """Chooses the newest unfinished run of this name, model and seed, or a finished one that is what is asked for.

    Args:
        experiment: What is asked for.
    """
    found = sorted(_candidates(experiment), key=lambda one: one.saved or one.since, reverse=True)
    same, others = [one for one in found if not one.other], [one for one in found if one.other]
    asked = experiment.trainer.max_epochs
    unfinished = [one for one in same if not one.finished and one.saved is not None]
    finished = [one for one in same if one.finished]
    if not unfinished and (done := [one for one in finished if one.epochs >= asked]):
        said = f"{done[0].run} has finished its {done[0].epochs} epochs, nothing is left to do"
        return Choice(done[0].run, said, finished=True)
    longer = [one for one in finished if RunLayout(one.run).checkpoint("last").is_file()]
    changed = [one for one in others if not one.finished and one.saved is not None]
    for one in (*unfinished, *longer, *changed):
        return Choice(one.run, str(one.run))
    for one in found:
        if not one.finished:
            return Choice(None, f"{one.run} has no checkpoint yet; a new one starts")
    for one in found:
        less = f"{one.epochs} epochs of {asked}, and log.keep left no last.ckpt"
        how = f"with other values ({'; '.join(one.other)})" if one.other else less
        return Choice(None, f"{one.run} has finished {how}; a new one starts")
    return Choice(None, "no unfinished run of this name and model, a new one starts")


def _candidates(experiment: Experiment) -> list[_Candidate]:
    found = []
    for config in Path(experiment.log.root).glob(f"{glob.escape(experiment.name())}*/{RunLayout(Path()).config.name}"):
        run, number = config.parent, config.parent.name.removeprefix(experiment.name())
        if number and not re.fullmatch(r"-\d+", number):
            continue
        before = read_experiment(config)
        if (before.model, before.seed) != (experiment.model, experiment.seed):
            continue
        times = [path.stat().st_mtime for path in RunLayout(run).checkpoints.glob("*.ckpt")]
        known = _summary(run)
        tested = bool(known.get("test"))
        # a run of an earlier version does not say that it has finished; its report says so
        finished = tested and known.get("finished", RunLayout(run).page.is_file())
        since = config.stat().st_mtime
        saved = max(times) if times else since if tested else None
        found.append(_Candidate(run, _other(before, experiment), before.trainer.max_epochs, finished, saved, since))
    return found


def _summary(run: Path) -> dict[str, Any]:
    """What a run says of itself; nothing where that is damaged, which is reported when the run is resumed."""
    try:
        return summary.read(run)
    except ValueError:
        return {}


def _other(before: Experiment, now: Experiment) -> list[str]:
    """What decides the result and differs: ``optimizer.lr: 0.1 -> 0.05``; the number of epochs is left out."""
    from cv_attention.comparison.fields import Kind, kind, names

    lines = []
    for name in names():
        if kind(name) in (Kind.EXECUTION, Kind.RECORD) or name in ("data.root", "trainer.max_epochs"):
            continue
        old, new = _value(before, name), _value(now, name)
        if old != new and not (name in _FILLED_IN and not new):
            lines.append(f"{name}: {json.dumps(old)} -> {json.dumps(new)}")
    return lines


def _value(experiment: Experiment, name: str) -> Any:
    from cv_attention.comparison.fields import SILENT_EXTRA

    value: Any = reduce(getattr, name.split("."), experiment)
    return {key: value[key] for key in value if key not in SILENT_EXTRA} if name == "trainer.extra" else value
