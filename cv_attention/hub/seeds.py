"""Finds the runs of other seeds, and the study that a run belongs to."""

from collections.abc import Mapping
from pathlib import Path
from statistics import mean, stdev
from typing import Any, NamedTuple

from cv_attention.rundir import read_json, read_yaml, summary
from cv_attention.rundir.layout import RunLayout, runs_in


class OverSeeds(NamedTuple):
    """A metric over the runs of one configuration.

    Attributes:
        mean: Mean over the seeds.
        deviation: Standard deviation (n - 1); None for one seed.
        seeds: Seeds of the runs that have it.
    """

    mean: float
    deviation: float | None
    seeds: tuple[int, ...]


class Study(NamedTuple):
    """What a study says of the network of a run.

    Attributes:
        name: Name of the study.
        sealed: Whether its test results are not to be seen yet.
        split: ``test`` or ``val``.
        metric: The metric that was compared.
        rows: One of `Comparison`'s rows for each network.
    """

    name: str
    sealed: bool
    split: str
    metric: str
    rows: tuple[Mapping[str, Any], ...]


def over_seeds(run: Path) -> dict[str, OverSeeds]:
    """Summarizes the test metrics of a run and of its neighbours that differ only in the seed.

    Args:
        run: A finished run directory.

    Returns:
        Each metric of the run's test over all of these runs.
    """
    own = _recipe(run)
    values: dict[str, dict[int, float]] = {}
    for other in [run, *(each for each in runs_in(run.absolute().parent) if each.name != run.absolute().name)]:
        try:
            config, recipe = read_yaml(RunLayout(other).config), _recipe(other)
            tested = summary.read(other).get("test") or {}
        except (ValueError, OSError):
            continue
        if recipe != own:
            continue
        for name, value in tested.items():
            if isinstance(value, int | float):
                values.setdefault(name, {}).setdefault(config["seed"], float(value))
    known = summary.read(run).get("test") or {}
    return {
        name: OverSeeds(mean(each.values()), stdev(each.values()) if len(each) > 1 else None, tuple(sorted(each)))
        for name, each in values.items()
        if name in known
    }


def _recipe(run: Path) -> dict[str, Any]:
    config = read_yaml(RunLayout(run).config)
    return {name: value for name, value in config.items() if name not in ("seed", "log")}


def study_of(run: Path) -> Study | None:
    """Reads the results of the study that trained a run, ``STUDIES/trials/RUN``; None if there is none."""
    run = run.absolute()
    if run.parent.name != "trials":
        return None
    for file in sorted(run.parent.parent.glob("*/study.json")):
        try:
            content = read_json(file)
            if not any(trial["run"] == run.name for trial in content["trials"]):
                continue
            tables = [recipe["comparison"]["tables"] for recipe in content["recipes"] if recipe["comparison"]]
            rows = [row for table in (tables[0] if tables else []) for row in table["rows"]]
            return Study(file.parent.name, bool(content["sealed"]), content["split"], content["metric"], tuple(rows))
        except (ValueError, OSError, KeyError, TypeError):
            continue
    return None
