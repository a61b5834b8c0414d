"""Lists what makes a table less than fair or complete: missing and failed runs, other machines or versions."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from cv_attention.comparison.arms import Arm, Values
from cv_attention.comparison.fields import Kind
from cv_attention.comparison.recipes import OF_BLOCKS, part, varying
from cv_attention.comparison.runs import Run
from cv_attention.rundir.layout import RunLayout

# Fields that change no result but by rounding or chance, and of which one should still know that they differ.
_REPORTED = ("data.cache", "trainer.precision", "trainer.devices", "trainer.num_nodes", "trainer.compile")


def cautions(
    arms: Sequence[Arm], labels: Sequence[str], found: Values, spreads: Sequence[float | None], *, compared: bool
) -> Iterator[str]:
    """Lists what a reader should know of a table, a line each.

    Args:
        arms: The networks.
        labels: Their names.
        found: Their figures.
        spreads: Those of `statistics.Study`.
        compared: Whether the first arm is the reference.
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
                yield f"{RunLayout(run.path).predictions} is not of the test in summary.json, so it is not used"
    yield from _missing(labels, found)
    if found.overlap is not None:
        yield from _unpaired(arms, labels)
    yield from _versions(arms)
    yield from _machines(arms, labels)
    yield from _spreads(labels, spreads)


def _not_the_block_alone(arms: Sequence[Arm], labels: Sequence[str]) -> Iterator[str]:
    """Notes a reference without a block, such as a wider network, that differs from all others in more than a block."""
    plain = _without_block(arms[0])
    others = [_without_block(arm) for arm in arms if arm.network["model.block"] != "null"]
    if arms[0].network["model.block"] != "null" or not others or plain in others:
        return
    fields = ", ".join(varying([plain, *others]))
    yield f"{labels[0]} differs from every network with a block also in {fields}, so no difference is the block's alone"


def _without_block(arm: Arm) -> dict[str, str]:
    return {name: value for name, value in arm.network.items() if name not in OF_BLOCKS}


def _unpaired(arms: Sequence[Arm], labels: Sequence[str]) -> Iterator[str]:
    """Notes on folds of which the networks' means are over different seeds."""
    for fold in sorted({fold for arm in arms for fold, _ in arm.finished}):
        seeds = {
            label: sorted(seed for it, seed in arm.finished if it == fold)
            for label, arm in zip(labels, arms, strict=True)
        }
        trained = {label: it for label, it in seeds.items() if it}
        if len(set(map(tuple, trained.values()))) > 1:
            said = "; ".join(f"{label}: {', '.join(map(str, it))}" for label, it in trained.items())
            yield f"fold {fold} is a mean over different seeds, so its runs are not paired: {said}"


def _missing(labels: Sequence[str], found: Values) -> Iterator[str]:
    for label, figures in zip(labels, found.table, strict=True):
        lacking = [unit for unit, value in zip(found.units, figures, strict=True) if np.isnan(value)]
        if lacking and len(lacking) < len(found.units):
            yield f"{label} lacks {', '.join(lacking)}, which other rows have"


def _versions(arms: Sequence[Arm]) -> Iterator[str]:
    runs = [run for arm in arms for run in arm.finished.values()]
    for name, what in (("cv_attention", "the code"), ("torch", "torch")):
        versions = {(run.summary.get("provenance") or {}).get(name) for run in runs}
        if len(versions) > 1:
            yield f"trained by different versions of {what}: {', '.join(sorted(it or 'unknown' for it in versions))}"


def _machines(arms: Sequence[Arm], labels: Sequence[str]) -> Iterator[str]:
    """Notes on hardware and on fields of execution that differ."""
    machines = [tuple(hardware(arm)) for arm in arms]
    runs = [run for arm in arms for run in arm.finished.values()]
    unknown = [run for run in runs if not _hardware(run)]
    recorded = not unknown
    if len({kind for one in machines for kind in one}) > 1:
        said = "; ".join(
            f"{label}: {' / '.join(one) or 'unknown'}" for label, one in zip(labels, machines, strict=True)
        )
        yield f"trained on different hardware or with different precision, so times cannot be compared: {said}"
    if 0 < len(unknown) < len(runs):
        paths = ", ".join(str(run.path) for run in unknown)
        yield f"what they were trained on is not recorded, so times may not be comparable: {paths}"
    fields = [[part(run, Kind.EXECUTION) for run in arm.finished.values()] for arm in arms]
    for name in varying(one for arm in fields for one in arm):
        machine = ("trainer.precision", "trainer.devices", "trainer.num_nodes")
        if name not in _REPORTED or (recorded and name in machine):
            continue
        said = "; ".join(
            f"{label}: {', '.join(sorted({one[name] for one in arm}))}"
            for label, arm in zip(labels, fields, strict=True)
            if arm
        )
        yield f"{name} differs: {said}"


def hardware(arm: Arm) -> list[str]:
    """Names each kind of machine that the finished runs of an arm were trained on; nothing where it is unknown."""
    return sorted({text for run in arm.finished.values() if (text := _hardware(run))})


def _hardware(run: Run) -> str:
    found: dict[str, Any] = run.summary.get("hardware") or {}
    if not found:
        return ""
    devices = found.get("devices", 1)
    threads = found.get("threads") if found.get("accelerator") == "cpu" else None
    cores = f", {threads} thread{'' if threads == 1 else 's'}" if threads else ""
    times = f"{devices} × " if devices != 1 else ""
    return f"{times}{found.get('device', 'unknown')}{cores}, {found.get('precision', 'unknown precision')}"


def _spreads(labels: Sequence[str], spreads: Sequence[float | None]) -> Iterator[str]:
    """Notes on arms whose runs spread more than those of the others."""
    for label, ratio in zip(labels, spreads, strict=True):
        if ratio is not None:
            yield (
                f"the runs of {label} seem to spread {ratio:.1f} times as much as the other networks', so intervals of "
                f"differences with {label} are wider"
            )
