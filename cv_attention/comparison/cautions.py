"""What makes a table less than fair or complete: missing and failed runs, other machines, other versions."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from cv_attention.comparison.arms import Arm, Values
from cv_attention.comparison.fields import Kind
from cv_attention.comparison.recipes import part, varying
from cv_attention.comparison.runs import Run

# Fields that change no result but by rounding or chance, and of which one should still know that they differ.
_REPORTED = ("data.cache", "trainer.precision", "trainer.devices", "trainer.num_nodes", "trainer.compile")
_UNEQUAL = 3.0  # times the standard deviation of another arm


def cautions(arms: Sequence[Arm], labels: Sequence[str], found: Values) -> Iterator[str]:
    """Lists what a reader should know of a table, a line each."""
    for arm, label in zip(arms, labels, strict=True):
        yield from arm.notes
        if arm.unfinished:
            paths = ", ".join(str(run.path) for run in arm.unfinished)
            yield f"{label}: without a result: {paths}; its figures are of the runs that finished"
    yield from _missing(labels, found)
    yield from _versions(arms)
    yield from _machines(arms, labels)
    yield from _spreads(labels, found)


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
    recorded = all(machines)
    if len({kind for one in machines for kind in one}) > 1:
        said = "; ".join(f"{label}: {', '.join(one) or 'unknown'}" for label, one in zip(labels, machines, strict=True))
        yield f"trained on different hardware or with different precision, so times cannot be compared: {said}"
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


def _spreads(labels: Sequence[str], found: Values) -> Iterator[str]:
    """Notes on arms whose runs spread much more than those of another: the residual is pooled over both."""
    spreads = {
        label: float(np.nanstd(figures, ddof=1))
        for label, figures in zip(labels, found.table, strict=True)
        if np.isfinite(figures).sum() > 3
    }
    if len(spreads) < 2:
        return
    least, most = min(spreads, key=spreads.__getitem__), max(spreads, key=spreads.__getitem__)
    if spreads[most] > _UNEQUAL * spreads[least] > 0:
        yield (
            f"the runs of {most} spread {spreads[most] / spreads[least]:.1f} times as much as those of {least}; "
            "with so unequal spreads, intervals can be too short"
        )
