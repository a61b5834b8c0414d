"""Finds the checkpoint that a training run resumes from, and checks that it holds every part that this takes."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from cv_attention.rundir import Damaged, NewerFormat
from cv_attention.rundir.layout import RunLayout
from cv_attention.training.checkpoint.checkpoints import (
    LAST,
    PREVIOUS,
    OtherTask,
    facts_in,
    read,
    require_task,
    set_aside,
)
from cv_attention.training.tasks.task import Task

# States of Lightning's loops; if one is missing, Lightning fails with a KeyError.
_LOOPS = ("state_dict", "epoch_progress", "epoch_loop.state_dict", "epoch_loop.batch_progress")
_LOOPS += ("epoch_loop.scheduler_progress", "epoch_loop.automatic_optimization.state_dict")
_LOOPS += ("epoch_loop.automatic_optimization.optim_progress", "epoch_loop.val_loop.state_dict")
_LOOPS += ("epoch_loop.val_loop.batch_progress",)
# Parts that a run resumes from, by their places, and what they must be.
_PARTS: dict[tuple[str, ...], type | tuple[type, ...]] = {
    ("epoch",): int,
    ("global_step",): int,
    ("pytorch-lightning_version",): str,
    ("loops", "fit_loop", "epoch_loop.batch_progress", "current", "ready"): int,
    ("loops", "fit_loop", "epoch_progress", "current", "processed"): int,
    **{("loops", "fit_loop", name): Mapping for name in _LOOPS},
    ("callbacks", "Checkpoints", "best"): (int, float, type(None)),
    ("callbacks", "Checkpoints", "seconds"): (int, float),
    ("optimizer_states",): list,
    ("lr_schedulers",): list,
    ("random_states",): list,
}


def resumable(run: Path, task: type[Task]) -> tuple[Path, dict[str, Any], list[str]]:
    """Finds the newest intact checkpoint to resume from.

    A damaged file is moved out of the way, and the previous checkpoint is used.

    Args:
        run: The run directory.
        task: The class of the task that is trained.

    Returns:
        The file, its content, and notices about files that were not used.

    Raises:
        FileNotFoundError: if there is no intact checkpoint.
        ValueError: if it belongs to another task.
        OSError: if the system does not let a checkpoint be read; it stays where it is, for it may be whole.
    """
    notices, wrong = [], []
    for name in (LAST, PREVIOUS):
        path = RunLayout(run).checkpoints / name
        if not path.exists():
            continue
        try:
            content = read(path)
            check_parts(content, path, task)
        except (NewerFormat, OtherTask):
            raise
        except ValueError as error:
            set_aside(path)
            notices.append(f"{path} is damaged and was renamed to {name}.torn")
            wrong.append(f"{error} (renamed to {name}.torn)")
            continue
        if notices:
            notices[-1] += f"; using {path}"
        return path, content, notices
    missing = "; ".join(wrong) or f"{RunLayout(run).checkpoint('last')} does not exist"
    raise FileNotFoundError(f"{missing}, so there is no checkpoint to resume from")


def check_parts(content: Mapping[str, Any], path: Path, task: type[Task]) -> None:
    """Raises ValueError unless a checkpoint holds the state of a training run of this task, not a network alone."""
    require_task(content, path, task)
    for place, kind in _PARTS.items():
        value: Any = content
        for name in place:
            value = value.get(name) if isinstance(value, Mapping) else None
        absent = value is None and kind is not _PARTS["callbacks", "Checkpoints", "best"]
        if absent or not isinstance(value, kind) or isinstance(value, bool):
            raise Damaged(f"{path} is damaged: it holds no {'.'.join(place)} to resume from")
    try:
        facts_in(content["facts"], task.facts_type)
    except (ValueError, TypeError) as error:
        missing = isinstance(error, TypeError)
        reason = (
            f"its facts lack some of {', '.join(field.name for field in fields(task.facts_type))}"
            if missing
            else " ".join(str(error).split())[:200]
        )
        raise Damaged(f"{path} is damaged: {reason}") from error
    if not isinstance(content.get("provenance", {}), Mapping):
        raise Damaged(f"{path} is damaged: its provenance must be a mapping")
    optimizer = content["experiment"].get("optimizer")
    scheduled = isinstance(optimizer, Mapping) and optimizer.get("schedule") is not None
    _check_states(path, "optimizer_states", content, ("state", "param_groups"))
    _check_states(path, "random_states", content, ("python", "numpy", "torch"))
    _check_states(path, "lr_schedulers", content, (), least=int(scheduled))


def _check_states(path: Path, name: str, content: Mapping[str, Any], keys: Sequence[str], *, least: int = 1) -> None:
    states = content[name]
    if len(states) < least or not all(isinstance(state, Mapping) and state.keys() >= set(keys) for state in states):
        held = f", each with {', '.join(keys)}" if keys else ""
        raise Damaged(f"{path} is damaged: its {name} must hold at least {least}{held}")
