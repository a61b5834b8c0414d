"""``--resume auto``: chooses which run of this name, model and seed to resume."""

import glob
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cv_attention.cli.errors import UserError
from cv_attention.cli.parsing import read_experiment
from cv_attention.comparison.requested import other_values
from cv_attention.config import Experiment
from cv_attention.config.bounds import check_bounds
from cv_attention.rundir import summary
from cv_attention.rundir.layout import RunLayout

# Differences that --resume auto does not count: the same images in another place, and a longer training.
_RESUMED = ("data.root", "trainer.max_epochs")


@dataclass(frozen=True)
class Choice:
    """Holds the outcome of ``--resume auto``.

    Attributes:
        run: The run to resume; None starts a new one.
        notice: One line that explains the choice.
        finished: Whether the run has already finished.
        warnings: Lines about runs that are left alone, since their configuration is not the one that was trained.
    """

    run: Path | None
    notice: str
    finished: bool = False
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Candidate:
    run: Path
    other: list[str]  # fields that affect results and differ from the requested values
    epochs: int
    finished: bool
    saved: float | None  # when its newest checkpoint was written
    since: float
    changed: str | None  # says that its configuration is not the one that it was trained with


def choose(experiment: Experiment) -> Choice:
    """Chooses the newest unfinished run of this name, model and seed, or a finished one that matches the request.

    Args:
        experiment: The requested configuration.
    """
    found = _candidates(experiment)
    warnings = tuple(
        f"{candidate.run}: {candidate.changed}, so this run is left alone" for candidate in found if candidate.changed
    )
    return replace(_choose([candidate for candidate in found if not candidate.changed], experiment), warnings=warnings)


def _choose(found: list[_Candidate], experiment: Experiment) -> Choice:
    candidates = sorted(found, key=lambda candidate: candidate.saved or candidate.since, reverse=True)
    matching = [candidate for candidate in candidates if not candidate.other]
    asked = experiment.trainer.max_epochs
    unfinished = [candidate for candidate in matching if not candidate.finished and candidate.saved is not None]
    finished = [candidate for candidate in matching if candidate.finished]
    if not unfinished and (done := [candidate for candidate in finished if candidate.epochs >= asked]):
        return Choice(done[0].run, f"{done[0].run} has already finished its {done[0].epochs} epochs", finished=True)
    longer = [candidate for candidate in finished if RunLayout(candidate.run).checkpoint("last").is_file()]
    changed = [
        candidate
        for candidate in candidates
        if candidate.other and not candidate.finished and candidate.saved is not None
    ]
    for candidate in (*unfinished, *longer, *changed):
        return Choice(candidate.run, str(candidate.run))
    for candidate in candidates:
        if not candidate.finished:
            return Choice(None, f"{candidate.run} has no checkpoint yet; starting a new run")
    for candidate in candidates:
        less = f"{candidate.epochs} of {asked} epochs, and log.keep left no last.ckpt"
        how = f"with other values ({'; '.join(candidate.other)})" if candidate.other else less
        return Choice(None, f"{candidate.run} has finished {how}; starting a new run")
    return Choice(None, "no unfinished run of this name and model; starting a new run")


def check_resumed(config: Path, before: Experiment, experiment: Experiment) -> None:
    """Names the file where a value in it is wrong that the command line does not replace.

    Args:
        config: The run's configuration file.
        before: What it holds.
        experiment: The same with the command line's values.

    Raises:
        UserError: naming the first value that is null or out of bounds.
    """
    try:
        check_bounds(experiment)
    except ValueError as error:
        wrong = str(error)
        try:
            check_bounds(before)
        except ValueError as own:
            wrong = f"{config}: {own}" if str(own) == wrong else wrong
        raise UserError(wrong) from error


def _candidates(experiment: Experiment) -> list[_Candidate]:
    candidates = []
    for config in Path(experiment.log.root).glob(f"{glob.escape(experiment.name())}*/{RunLayout(Path()).config.name}"):
        run, number = config.parent, config.parent.name.removeprefix(experiment.name())
        if number and not re.fullmatch(r"-\d+", number):
            continue
        known = _summary(run)
        if changed := next(summary.changes(run, known, (config.name,)), None):
            candidates.append(_Candidate(run, [], 0, True, None, 0.0, changed))
            continue
        before = read_experiment(config)
        if (before.model, before.seed) != (experiment.model, experiment.seed):
            continue
        times = [path.stat().st_mtime for path in RunLayout(run).checkpoints.glob("*.ckpt")]
        tested = bool(known.get("test"))
        # runs of earlier versions do not record that they have finished; their report shows it
        finished = tested and known.get("finished", RunLayout(run).page.is_file())
        since = config.stat().st_mtime
        saved = max(times) if times else since if tested else None
        candidates.append(
            _Candidate(
                run, other_values(before, experiment, _RESUMED), before.trainer.max_epochs, finished, saved, since, None
            )
        )
    return candidates


def _summary(run: Path) -> dict[str, Any]:
    """Reads a run's summary; empty if it is damaged, which is reported when the run is resumed."""
    try:
        return summary.read(run)
    except ValueError:
        return {}
