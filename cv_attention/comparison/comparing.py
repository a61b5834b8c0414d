"""Builds comparison tables from run directories, one per recipe and data set."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from cv_attention.comparison import recipes
from cv_attention.comparison.arms import Arm, values
from cv_attention.comparison.direction import stated
from cv_attention.comparison.fields import Kind
from cv_attention.comparison.recipes import Part
from cv_attention.comparison.runs import RATES, SHARES, USUAL, Run, read
from cv_attention.comparison.tables import Question, Table, table
from cv_attention.comparison.text import as_html
from cv_attention.rundir import NewerFormat, summary
from cv_attention.rundir.layout import RunLayout
from cv_attention.statistics import interaction
from cv_attention.suggest import suggest

MARGIN = 0.003  # as a fraction: 0.3 points


@dataclass(frozen=True)
class Comparison:
    """Holds all tables of a comparison, with notes.

    Attributes:
        split: The split of the figures, ``test`` or ``val``.
        metric: Name of the metric.
        higher_is_better: Whether higher values of it are better.
        margin: Differences within ± this count as equivalent; None if equivalence was not tested.
        alpha: Probability of any wrong verdict in a table.
        tables: One table per recipe and data set.
        interaction: p value of the network × recipe interaction if there are two recipes, otherwise None.
        notes: Notes on all tables, one line each.
    """

    split: str
    metric: str
    higher_is_better: bool
    margin: float | None
    alpha: float
    tables: tuple[Table, ...]
    interaction: float | None
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Returns plain dicts, lists and scalars."""
        return asdict(self)

    def _repr_html_(self) -> str:
        return as_html(self)


@dataclass
class _Group:
    """Holds the arms of one table, keyed by their networks' canonical text."""

    data: Part
    recipe: Part
    arms: dict[str, Arm]


def compare(
    runs: Sequence[Path],
    *,
    split: str = "test",
    metric: str | None = None,
    reference: str | Path | None = None,
    margin: float | None = None,
    alpha: float = 0.05,
    across_recipes: bool = False,
    higher_is_better: bool | None = None,
    arms: Mapping[Path, str] | None = None,
) -> Comparison:
    """Compares networks over the seeds that their runs share.

    Args:
        runs: Run directories, finished or not.
        split: ``test`` or ``val``.
        metric: A metric of that split, as named in ``summary.json``; or ``probability``, the mean probability of the
            true class on the test images, which varies less than the accuracy. None takes the accuracy, of networks
            that read the character error rate, ``cer``, with several classes per image ``map``, and of numbers ``mae``.
        reference: The network that the others are compared with: the label of its row, or one of its runs. By default
            the one network without a block.
        margin: Differences within ± this count as equivalent; default: 0.003 for fractions such as the accuracy and
            for the character error rate, and no equivalence for other metrics.
        alpha: Probability of any wrong verdict in a table.
        across_recipes: Compares networks of different recipes with each other, in one table per data set.
        higher_is_better: Whether higher values of the metric are better; None takes what the runs say of it, and higher
            where they say nothing.
        arms: Run directory -> name of its row, for all `runs`; they then share one table per data set, whatever their
            recipes, with rows in this order. None groups them by the networks of their configurations.

    Returns:
        A table for each recipe and data set.

    Raises:
        ValueError: if a directory is not a run, nothing has finished, the metric is unknown, or the reference is
            unknown or ambiguous.

    Examples:
        >>> import json
        >>> from pathlib import Path
        >>> from cv_attention.comparison import compare
        >>> runs = []
        >>> for block, accuracies in {"null": [0.70, 0.72, 0.71, 0.70], "se": [0.75, 0.76, 0.76, 0.75]}.items():
        ...     for seed, accuracy in enumerate(accuracies):  # as `training.fit` leaves runs behind
        ...         runs.append(Path(f"runs/{block}-{seed}"))
        ...         runs[-1].mkdir(parents=True)
        ...         _ = (runs[-1] / "config.yaml").write_text(f"{{seed: {seed}, model: {{block: {block}}}}}")
        ...         _ = (runs[-1] / "summary.json").write_text(json.dumps({"test": {"accuracy": accuracy}}))
        >>> [(row.label, row.verdict) for row in compare(runs).tables[0].rows]
        [('plain', 'none'), ('se', 'better')]
    """
    paths, others = _run_directories(runs)
    opened = _read(paths)
    metric = metric or _usual(opened, split)
    if margin is None and metric in (*SHARES, *RATES):
        margin = MARGIN
    question = Question(split, metric, margin, alpha)
    _require_figures(opened, question)
    direction = stated(metric, opened) if higher_is_better is None else higher_is_better
    if direction is None:
        others.append(f"no run says whether higher or lower {metric} is better; higher is taken to be")
    question = replace(question, higher_is_better=direction is not False)
    altered = [f"{run.path}: {what}" for run in opened for what in run.altered]
    others += altered
    groups = _groups(opened, question, arms)
    if arms is None and (across_recipes or len({name for group in groups for name in group.arms}) == 1):
        groups = _merged(groups)
    names = _labels(groups) if arms is None else {name: name for group in groups for name in group.arms}
    try:
        chosen = _reference(reference, groups, names)
    except ValueError as error:  # possibly since a configuration is not what was trained
        raise ValueError("; ".join([str(error), *altered])) from error
    groups.sort(key=lambda group: chosen not in group.arms)  # stable: tables with the reference come first
    tables = tuple(_table(group, groups, names, chosen, question) for group in groups)
    notes = (*others, *([_separated(groups)] if len(groups) > 1 else []))
    p, better = _interaction(groups, chosen, question), question.higher_is_better
    return Comparison(split, metric, better, margin, alpha, tables, p, notes)


def _run_directories(paths: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """Deduplicates and sorts the runs, so that argument order has no effect; separates paths that are not runs."""
    unique = sorted({path.resolve(): path for path in reversed(paths)}.values())
    runs = [path for path in unique if not path.exists() or RunLayout(path).config.is_file()]
    if not runs:
        return unique, []
    return runs, [f"{path} is left out: {_why_left_out(path)}" for path in unique if path not in runs]


def _why_left_out(path: Path) -> str:
    return "it has no config.yaml" if (path / summary.NAME).exists() else "it is not a run directory"


def _usual(runs: Sequence[Run], split: str) -> str:
    """Returns the metric that runs are compared by if nothing is said: the first of these that one of them has."""
    return next((name for name in USUAL if any(name in run.figures(split) for run in runs)), USUAL[0])


def _read(paths: Sequence[Path]) -> list[Run]:
    opened = []
    for path in paths:
        try:
            opened.append(read(path))
        except NewerFormat as error:
            others = "; leave it out to compare the others" if len(paths) > 1 else ""
            raise NewerFormat(f"{error}{others}") from error
    return opened


def _require_figures(opened: Sequence[Run], question: Question) -> None:
    """Raises ValueError where no run has the metric in question."""
    if not any(run.figure(question.split, question.metric) is not None for run in opened):
        count = f"{len(opened)} run{'s' * (len(opened) > 1)}"
        raise ValueError(f"nothing to compare: none of {count} has a {question.split} {question.metric} yet")


def _groups(runs: Sequence[Run], question: Question, named: Mapping[Path, str] | None) -> list[_Group]:
    """Groups the runs by data and recipe, and within these by network; named ones by data and name."""
    groups: dict[str, _Group] = {}
    for run, data in zip(runs, recipes.data_of(runs), strict=True):
        recipe, network = recipes.part(run, Kind.RECIPE), recipes.part(run, Kind.NETWORK)
        shared = recipe if named is None else {}
        group = groups.setdefault(str((data, shared)), _Group(data, shared, {}))
        arm = group.arms.setdefault(str(network) if named is None else named[run.path], Arm(network, recipe))
        arm.add(run, finished=run.figure(question.split, question.metric) is not None)
    order = [] if named is None else list(dict.fromkeys(named.values()))
    for group in groups.values():
        group.arms = {name: group.arms[name] for name in order if name in group.arms} or group.arms
        for arm in group.arms.values():
            arm.settle()
    return list(groups.values())


def _merged(groups: Sequence[_Group]) -> list[_Group]:
    """Merges all recipes of one data set into one table; each combination of network and recipe is an arm."""
    merged: dict[str, _Group] = {}
    for group in groups:
        combined = merged.setdefault(str(group.data), _Group(group.data, {}, {}))
        combined.arms |= {str((name, group.recipe)): arm for name, arm in group.arms.items()}
    return list(merged.values())


def _labels(groups: Sequence[_Group]) -> dict[str, str]:
    """Labels every arm; a network has the same label in all tables."""
    arms = {name: arm for group in groups for name, arm in group.arms.items()}
    networks = recipes.network_labels([arm.network for arm in _each_network(arms)])
    known = {str(arm.network): text for arm, text in zip(_each_network(arms), networks, strict=True)}
    merged = any(name != str(arm.network) for name, arm in arms.items())
    differing = recipes.varying(arm.recipe for arm in arms.values()) if merged else []
    return {
        name: ", ".join(filter(None, [known[str(arm.network)], recipes.label(arm.recipe, differing)]))
        for name, arm in arms.items()
    }


def _each_network(arms: dict[str, Arm]) -> list[Arm]:
    return list({str(arm.network): arm for arm in arms.values()}.values())


def _reference(wanted: str | Path | None, groups: Sequence[_Group], names: dict[str, str]) -> str | None:
    """Finds the reference arm."""
    if wanted is not None:
        return _named(wanted, groups, names)
    arms = {name: arm for group in groups for name, arm in group.arms.items()}
    plain = [name for name, arm in arms.items() if recipes.is_plain(arm.network)]
    if len(plain) == 1:
        return plain[0]
    if len(arms) == 1:
        return next(iter(arms))
    listed = ", ".join(repr(names[name]) for name in (plain or arms))
    why = f"{len(plain)} networks have no block" if plain else "every network has a block"
    raise ValueError(f"{why}, so the reference must be named: --reference with one of {listed}")


def _named(wanted: str | Path, groups: Sequence[_Group], names: dict[str, str]) -> str:
    place = Path(wanted).resolve()
    for group in groups:
        for name, arm in group.arms.items():
            if any(run.path.resolve() == place for run in arm.runs):
                return name
    by_label = [name for name, text in names.items() if text == str(wanted)]
    if not by_label:
        known = list(dict.fromkeys(names.values()))
        if Path(wanted).exists():
            raise ValueError(f"reference {wanted} is not among the compared runs")
        raise ValueError(f"reference {str(wanted)!r} is neither a row nor a compared run{suggest(wanted, known)}")
    return by_label[0]


def _table(
    group: _Group, groups: Sequence[_Group], names: dict[str, str], chosen: str | None, question: Question
) -> Table:
    arms = list(group.arms)
    title = recipes.label(group.data | group.recipe, _differing(groups)) if len(groups) > 1 else ""
    labels = [names[arm] for arm in arms]
    reference = arms.index(chosen) if chosen in arms else None
    return table(title, list(group.arms.values()), labels, reference, question)


def _differing(groups: Sequence[_Group]) -> list[str]:
    parts = [group.data | group.recipe for group in groups]
    known = dict.fromkeys(name for part in parts for name in part)
    return [name for name in known if len({part.get(name) for part in parts}) > 1]


def _separated(groups: Sequence[_Group]) -> str:
    fields = ", ".join(_differing(groups))
    return f"{len(groups)} tables, because the runs differ not only in the network but also in {fields}"


def _interaction(groups: Sequence[_Group], chosen: str | None, question: Question) -> float | None:
    """Tests whether differences depend on the recipe, if two recipes were trained on the same data."""
    if len(groups) != 2 or groups[0].data != groups[1].data or chosen is None:
        return None
    shared = [name for name in groups[0].arms if name in groups[1].arms]
    if chosen not in shared:
        return None
    tables = [values([group.arms[name] for name in shared], question.split, question.metric) for group in groups]
    if any(table.overlap is not None for table in tables):
        return None
    return interaction(tables[0].table, tables[1].table, shared.index(chosen))
