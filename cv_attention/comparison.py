"""Which of several trainings ended better: means over seeds, and differences in pairs of the same seed."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

import yaml

from cv_attention.suggest import suggest

# What may differ between two runs of one recipe: the pair that they belong to, and where they are written.
_OF_A_PAIR = ("seed", "data.fold")
_ASIDE = ("log.",)


@dataclass(frozen=True)
class Run:
    """What one finished run says.

    Attributes:
        path: Its directory.
        pair: What it shares with the run to compare it with: seed, and fold in cross-validation.
        recipe: The rest of its configuration, field by field.
        summary: Its ``summary.json``.
    """

    path: Path
    pair: str
    recipe: dict[str, str]
    summary: dict[str, Any]


@dataclass(frozen=True)
class Row:
    """The runs of one recipe.

    Attributes:
        label: The block, or ``plain``, and whatever else differs among the recipes compared.
        pairs: Seed, and fold if any, of each run.
        values: The metric of each run.
        mean: Their mean.
        deviation: Their standard deviation (n - 1); None for one run.
        differences: Value minus the baseline's in each pair that both have; empty for the baseline.
        difference: Mean of the differences; None without pairs.
        interval: Half-width of its 95 % interval, Student's t; None for fewer than two pairs.
        parameters: Number of parameters.
        images_per_second: Median over the runs; None where it was not measured.
    """

    label: str
    pairs: tuple[str, ...]
    values: tuple[float, ...]
    mean: float
    deviation: float | None
    differences: tuple[float, ...]
    difference: float | None
    interval: float | None
    parameters: int | None
    images_per_second: float | None

    @property
    def differs(self) -> bool:
        """Whether the interval excludes zero."""
        return self.difference is not None and self.interval is not None and abs(self.difference) > self.interval


@dataclass(frozen=True)
class Comparison:
    """Rows, the baseline first, and what one should know about them.

    Attributes:
        metric: Name of the metric of the test split.
        rows: One for each recipe.
        notes: What makes the comparison less than fair or complete, a line each.
    """

    metric: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Returns plain dicts, lists and scalars."""
        return asdict(self)


def compare(runs: Sequence[Path], *, metric: str = "accuracy", baseline: Path | None = None) -> Comparison:
    """Compares finished runs of several recipes over the seeds that they share.

    Args:
        runs: Run directories. Those that differ in seed, fold and logging alone are one row.
        metric: A metric of the test split, as in ``summary.json``.
        baseline: A run of the row that the others are compared with; by default the one without a block, else the
            first.

    Raises:
        ValueError: if a directory is no run, none has this metric, or `baseline` is none of `runs`.
    """
    notes: list[str] = []
    found = [run for path in runs if (run := _read(path, metric, notes))]
    if not found:
        raise ValueError(f"nothing to compare: {'; '.join(notes)}")
    recipes: dict[str, dict[str, Run]] = {}
    for run in found:
        row = recipes.setdefault(json.dumps(run.recipe, sort_keys=True), {})
        if run.pair in row:
            notes.append(f"{run.path} is left out: {row[run.pair].path} is the same training, {run.pair}")
        row.setdefault(run.pair, run)
    rows = list(recipes.values())
    rows.sort(key=lambda row: not _is_baseline(row, baseline))  # stable
    if baseline is not None and not _is_baseline(rows[0], baseline):
        raise ValueError(f"baseline {baseline} is none of the runs that are compared")
    notes += _unfair([next(iter(row.values())) for row in rows], found)
    return Comparison(metric, tuple(_rows(rows, metric)), tuple(notes))


def _read(path: Path, metric: str, notes: list[str]) -> Run | None:
    """Reads a run; one that has not ended yet is noted and left out."""
    if not (path / "config.yaml").is_file():
        near = sorted(one.parent.name for one in path.parent.glob("*/config.yaml"))
        raise ValueError(f"{path} is no run directory{suggest(path.name, near)}")
    content = _load(path / "summary.json")
    test = content.get("test") or {}
    if not test:
        notes.append(f"{path} is left out: it has not been tested yet")
        return None
    if metric not in test:
        raise ValueError(f"{path} has no test metric {metric!r}{suggest(metric, test)}")
    fields = dict(_flat(_load(path / "config.yaml")))
    crossed = fields.get("data.split_file") not in (None, "null")
    pair = f"seed {fields.get('seed')}" + (f", fold {fields['data.fold']}" if crossed else "")
    recipe = {k: v for k, v in fields.items() if k not in _OF_A_PAIR and not k.startswith(_ASIDE)}
    return Run(path, pair, recipe, content)


def _load(path: Path) -> dict[str, Any]:
    """A file of YAML or JSON, which is YAML too; empty where there is none."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} is no mapping of names to values")
    return content


def _flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in config.items():
        if isinstance(value, Mapping) and value and f"{prefix}{name}" != "model.block":
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value if isinstance(value, str) else json.dumps(value)


def _is_baseline(row: Mapping[str, Run], baseline: Path | None) -> bool:
    if baseline is None:
        return next(iter(row.values())).recipe.get("model.block") == "null"
    return any(run.path.resolve() == baseline.resolve() for run in row.values())


def _rows(recipes: list[dict[str, Run]], metric: str) -> Iterator[Row]:
    first = [next(iter(row.values())) for row in recipes]
    fields = _varying(first)
    base = {pair: run.summary["test"][metric] for pair, run in recipes[0].items()}
    for number, row in enumerate(recipes):
        values = [float(run.summary["test"][metric]) for run in row.values()]
        differences = [run.summary["test"][metric] - base[pair] for pair, run in row.items() if pair in base]
        differences = differences if number else []
        rates = [rate for run in row.values() if (rate := run.summary.get("images_per_second"))]
        yield Row(
            label=_label(first[number], fields),
            pairs=tuple(row),
            values=tuple(values),
            mean=mean(values),
            deviation=stdev(values) if len(values) > 1 else None,
            differences=tuple(differences),
            difference=mean(differences) if differences else None,
            interval=_half_width(differences),
            parameters=first[number].summary.get("parameters"),
            images_per_second=median(rates) if rates else None,
        )


def _half_width(values: Sequence[float]) -> float | None:
    """Of the 95 % interval of the mean, Student's t with n - 1 degrees of freedom."""
    if len(values) < 2:
        return None
    from scipy.special import stdtrit

    return float(stdtrit(len(values) - 1, 0.975)) * stdev(values) / len(values) ** 0.5


def _varying(runs: Sequence[Run]) -> list[str]:
    """Fields that not all runs have alike."""
    names = dict.fromkeys(name for run in runs for name in run.recipe)
    return [name for name in names if len({run.recipe.get(name) for run in runs}) > 1]


def _label(run: Run, fields: Sequence[str]) -> str:
    block = run.recipe.get("model.block", "null")
    words = ["plain" if block == "null" else block]
    return ", ".join(words + [f"{name} {run.recipe.get(name, 'not set')}" for name in fields if name != "model.block"])


def _unfair(first: Sequence[Run], runs: Sequence[Run]) -> Iterator[str]:
    """Notes on what else than the block differs."""
    others = [name for name in _varying(first) if not name.startswith("model.")]
    if others:
        yield f"not the network alone differs, but {', '.join(others)} too"
    versions = sorted({str((run.summary.get("provenance") or {}).get("cv_attention")) for run in runs})
    if len(versions) > 1:
        yield f"trained by different versions of the code: {', '.join(versions)}"
