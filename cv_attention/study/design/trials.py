"""Defines the training runs of a study: their names, their order, and what their directories say of them."""

import hashlib
import json
import random
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from cv_attention.comparison.requested import other_values
from cv_attention.config import Experiment
from cv_attention.config.plain import from_plain
from cv_attention.rundir import read_json, read_yaml, summary
from cv_attention.rundir.code_version import code_version
from cv_attention.rundir.files import write_text
from cv_attention.rundir.layout import RunLayout

State = Literal["missing", "started", "finished", "failed", "damaged"]
_ORDER = 20170901  # seeds the order of arms inside a block
_FAILED = "failed.json"


@dataclass(frozen=True)
class Trial:
    """One training run of a study.

    Attributes:
        arm: Name of its arm.
        recipe: Name of its recipe.
        seed: Its seed, and thus its block.
        experiment: Its configuration; ``log.name`` is its hash.
        at_test: What is measured of the network once it has been tested, see `Controls.at_test`; not part of the hash.

    Examples:
        >>> from cv_attention.config import Experiment, Log
        >>> from cv_attention.study import Trial
        >>> trial = Trial("se", "", 3, Experiment(seed=3, log=Log(name="4346ec4bd98dd7e0")))
        >>> str(trial), trial.name
        ('se, seed 3', '4346ec4bd98dd7e0')
    """

    arm: str
    recipe: str
    seed: int
    experiment: Experiment
    at_test: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Sixteen hexadecimal digits of configuration, seed and code version: the name of its run directory."""
        return str(self.experiment.log.name)

    def __str__(self) -> str:
        where = f", {self.recipe}" if self.recipe else ""
        return f"{self.arm}{where}, seed {self.seed}"


def trial(arm: str, recipe: str, seed: int, experiment: Experiment, root: Path, at_test: Sequence[str] = ()) -> Trial:
    """Makes a trial; the same configuration, seed and code have the same name in every study.

    Args:
        arm: Name of its arm.
        recipe: Name of its recipe.
        seed: Its seed.
        experiment: The configuration of arm and recipe, with any seed.
        root: Folder of the run directories.
        at_test: What is measured once it has been tested.
    """
    seeded = replace(experiment, seed=seed)
    deciding = {name: value for name, value in seeded.to_dict().items() if name != "log"}
    text = json.dumps([deciding, seeded.log.metrics, code_version()], sort_keys=True, default=str)
    name = hashlib.sha256(text.encode()).hexdigest()[:16]
    placed = replace(seeded, log=replace(seeded.log, root=str(root), name=name))
    return Trial(arm, recipe, seed, placed, tuple(at_test))


def blocks(trials: Iterable[Trial], seeds: Sequence[int]) -> list[list[Trial]]:
    """Sorts trials into blocks of one seed, each in a random order that is always the same.

    Any stop then leaves complete blocks and one incomplete one, in which no arm is always the last.
    """
    by_seed: dict[int, list[Trial]] = {seed: [] for seed in seeds}
    for each in trials:
        by_seed[each.seed].append(each)
    for seed, block in by_seed.items():
        random.Random(f"{_ORDER}:{seed}").shuffle(block)
    return list(by_seed.values())


def state(run: Path, asked: Experiment | None = None, at_test: Sequence[str] = ()) -> tuple[State, str]:
    """Returns how far a trial has come, by its run directory, and why it failed or is damaged.

    A finished run counts if its configuration and its predictions are those that it wrote.

    Args:
        run: The run directory.
        asked: The trial's configuration, which that of a finished run must be; None does not compare them.
        at_test: What must have been measured of a tested network before it counts as finished.
    """
    if not RunLayout(run).config.is_file() and not (run / _FAILED).is_file():
        return ("started" if run.is_dir() else "missing"), ""
    if (run / _FAILED).is_file():
        return "failed", _reason(run)
    try:
        found = summary.read(run)
        if not (found.get("test") and found.get("finished")):
            return "started", ""
        summary.check(run, found)
    except (ValueError, OSError, KeyError, TypeError) as error:
        return "damaged", " ".join(str(error).split())
    layout = RunLayout(run)
    names = tuple(path.name for path in (layout.config, layout.predictions, layout.readings, layout.recalled))
    changed = next(iter(summary.changes(run, found, names)), None) or (foreign(run, asked) if asked else None)
    if changed:
        return "damaged", changed
    return ("finished" if all(measured_file(run, what).is_file() for what in at_test) else "started"), ""


def measured_file(run: Path, what: str) -> Path:
    """Returns the file of a trial's directory that holds what was measured once it had been tested.

    Args:
        run: The run directory.
        what: One of `Controls.at_test`.
    """
    return run / f"{what}.json"


def foreign(run: Path, asked: Experiment) -> str | None:
    """Says that a directory is not that of the trial whose name it has, by its configuration."""
    config = RunLayout(run).config
    try:
        other = other_values(from_plain(Experiment, read_yaml(config), str(config)), asked)
    except (ValueError, OSError) as error:
        return " ".join(str(error).split())
    return f"{config} is of another training run ({'; '.join(other)[:200]})" if other else None


def _reason(run: Path) -> str:
    try:
        return " ".join(str(read_json(run / _FAILED).get("reason") or "no reason was recorded").split())
    except (ValueError, OSError):
        return "failed.json cannot be read"


def record_failure(run: Path, experiment: Experiment, reason: str) -> None:
    """Writes into a trial's directory that it has failed; it stays in the tables with this reason."""
    import yaml

    if not RunLayout(run).config.is_file():
        write_text(RunLayout(run).config, yaml.safe_dump(experiment.to_dict(), sort_keys=False))
    write_text(run / _FAILED, json.dumps({"reason": reason}) + "\n")


def forget_failure(run: Path) -> None:
    """Removes the note that a trial has failed, so that it is trained again."""
    (run / _FAILED).unlink(missing_ok=True)


def set_aside(run: Path) -> Path:
    """Renames the directory of a damaged trial, so that it is trained again and nothing is lost.

    Returns:
        Its new path.
    """
    number = 1
    while (place := run.with_name(f"{run.name}.damaged-{number}")).exists():
        number += 1
    run.rename(place)
    return place


def remove_unused(run: Path) -> None:
    """Removes a directory that holds nothing of a training run."""
    shutil.rmtree(run)


def seconds(run: Path) -> float | None:
    """Returns how long a finished trial was trained."""
    try:
        value: Any = summary.read(run).get("training_seconds")
    except (ValueError, OSError):
        return None
    return float(value) if isinstance(value, int | float) else None
