"""Lists cautions about the fairness and completeness of a table: missing runs, differing machines or versions."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from cv_attention.comparison.arms import Arm, Values
from cv_attention.comparison.fields import Kind
from cv_attention.comparison.recipes import OF_ATTENTION, OF_BLOCKS, is_plain, part, varying
from cv_attention.comparison.runs import Run

# Fields that change results only by rounding or chance, but whose differences are still reported.
_REPORTED = ("data.cache", "trainer.precision", "trainer.devices", "trainer.num_nodes", "trainer.compile")


def cautions(
    arms: Sequence[Arm],
    labels: Sequence[str],
    figures: Values,
    spreads: Sequence[float | None],
    *,
    compared: bool,
    apart: Sequence[bool] = (),
) -> Iterator[str]:
    """Lists the cautions about a table, one line each.

    Args:
        arms: The networks.
        labels: Their names.
        figures: Their figures.
        spreads: The spreads of `statistics.Study`.
        compared: Whether the first arm is the reference.
        apart: The arms that are judged by themselves, see `statistics.Study`; empty if there are none.
    """
    if compared:
        yield from _not_the_block_alone(arms, labels)
    for arm, label in zip(arms, labels, strict=True):
        yield from arm.notes
        if arm.unfinished:
            paths = ", ".join(str(run.path) for run in arm.unfinished)
            rest = "; its figures are of the runs that finished" if arm.finished else ""
            yield f"{label}: without a result: {paths}{rest}"
        for run in arm.finished.values():
            if run.contradicts():
                yield f"{run.predictions_file} does not belong to the test in summary.json, so it is not used"
    yield from _missing(labels, figures)
    if figures.overlap is not None:
        yield from _unpaired(arms, labels)
    yield from _versions(arms)
    yield from _machines(arms, labels)
    yield from _spreads(labels, spreads, apart or [False] * len(labels))


def _not_the_block_alone(arms: Sequence[Arm], labels: Sequence[str]) -> Iterator[str]:
    """Notes a reference without a block, such as a wider network, that differs from all others in other fields too."""
    plain = _without_block(arms[0])
    others = [_without_block(arm) for arm in arms if not is_plain(arm.network)]
    if not is_plain(arms[0].network) or not others or plain in others:
        return
    fields = ", ".join(varying([plain, *others]))
    words = f"{labels[0]} differs from all networks with a block also in {fields}"
    yield f"{words}: differences are not due to the block alone"


def _without_block(arm: Arm) -> dict[str, str]:
    return {name: value for name, value in arm.network.items() if name not in (*OF_BLOCKS, *OF_ATTENTION)}


def _unpaired(arms: Sequence[Arm], labels: Sequence[str]) -> Iterator[str]:
    """Notes folds in which the networks' means are over different seeds."""
    for fold in sorted({fold for arm in arms for fold, _ in arm.finished}):
        seeds = {
            label: sorted(seed for of_fold, seed in arm.finished if of_fold == fold)
            for label, arm in zip(labels, arms, strict=True)
        }
        trained = {label: numbers for label, numbers in seeds.items() if numbers}
        if len(set(map(tuple, trained.values()))) > 1:
            listed = "; ".join(f"{label}: {', '.join(map(str, numbers))}" for label, numbers in trained.items())
            yield f"fold {fold} is a mean over different seeds, so its runs are not paired: {listed}"


def _missing(labels: Sequence[str], figures: Values) -> Iterator[str]:
    for label, row in zip(labels, figures.table, strict=True):
        lacking = [unit for unit, value in zip(figures.units, row, strict=True) if np.isnan(value)]
        if lacking and len(lacking) < len(figures.units):
            yield f"{label} lacks {', '.join(lacking)}, which other rows have"


def _versions(arms: Sequence[Arm]) -> Iterator[str]:
    runs = [run for arm in arms for run in arm.finished.values()]
    for name, what in (("cv_attention", "the code"), ("torch", "torch")):
        versions = {(run.summary.get("provenance") or {}).get(name) for run in runs}
        if len(versions) > 1:
            listed = ", ".join(sorted(version or "unknown" for version in versions))
            yield f"trained with different versions of {what}: {listed}"


def _machines(arms: Sequence[Arm], labels: Sequence[str]) -> Iterator[str]:
    """Notes differences in hardware and in execution fields."""
    machines = [tuple(hardware(arm)) for arm in arms]
    runs = [run for arm in arms for run in arm.finished.values()]
    unknown = [run for run in runs if not _hardware(run)]
    recorded = not unknown
    if len({kind for kinds in machines for kind in kinds}) > 1:
        listed = "; ".join(
            f"{label}: {' / '.join(kinds) or 'unknown'}" for label, kinds in zip(labels, machines, strict=True)
        )
        yield f"trained on different hardware or with different precision, so times cannot be compared: {listed}"
    if 0 < len(unknown) < len(runs):
        paths = ", ".join(str(run.path) for run in unknown)
        yield f"hardware not recorded, so times may not be comparable: {paths}"
    fields = [[part(run, Kind.EXECUTION) for run in arm.finished.values()] for arm in arms]
    for name in varying(values for arm in fields for values in arm):
        machine = ("trainer.precision", "trainer.devices", "trainer.num_nodes")
        if name not in _REPORTED or (recorded and name in machine):
            continue
        listed = "; ".join(
            f"{label}: {', '.join(sorted({run[name] for run in arm}))}"
            for label, arm in zip(labels, fields, strict=True)
            if arm
        )
        yield f"{name} differs: {listed}"


def hardware(arm: Arm) -> list[str]:
    """Names each kind of machine that an arm's finished runs were trained on; empty if unknown."""
    return sorted({text for run in arm.finished.values() if (text := _hardware(run))})


def _hardware(run: Run) -> str:
    recorded: dict[str, Any] = run.summary.get("hardware") or {}
    if not recorded:
        return ""
    devices = recorded.get("devices", 1)
    threads = recorded.get("threads") if recorded.get("accelerator") == "cpu" else None
    cores = f", {threads} thread{'' if threads == 1 else 's'}" if threads else ""
    times = f"{devices} × " if devices != 1 else ""
    return f"{times}{recorded.get('device', 'unknown')}{cores}, {recorded.get('precision', 'unknown precision')}"


def _spreads(labels: Sequence[str], spreads: Sequence[float | None], apart: Sequence[bool]) -> Iterator[str]:
    """Notes arms whose runs spread more than those of the others, and what follows from it."""
    for label, ratio, alone in zip(labels, spreads, apart, strict=True):
        if ratio is not None:
            more = f"the runs of {label} seem to spread {ratio:.1f} times as much as the other networks'"
            if alone:
                yield f"{more}, so {label} is judged apart, by a paired t test, and the other intervals do without it"
            else:
                yield f"{more}, so intervals of differences with {label} are wider"
