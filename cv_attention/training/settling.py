"""Settles at the end of training which network ``best.ckpt`` holds, even where a checkpoint is missing or damaged."""

import os
from pathlib import Path
from typing import Any, cast

from cv_attention.rundir.layout import RunLayout
from cv_attention.training.callbacks.terminal import say
from cv_attention.training.checkpoint import checkpoints
from cv_attention.training.checkpoint.saving import Checkpoints
from cv_attention.training.optim import optimization
from cv_attention.training.preparation import Prepared, misfit
from cv_attention.training.tasks.selection import Selected, select
from cv_attention.training.tasks.task import Task


class NothingTrained(RuntimeError):
    """Raised by `fit` if training has ended without an intact checkpoint, so that there is nothing to test."""


def settle(prepared: Prepared) -> Selected:
    """Makes ``best.ckpt`` the network that is tested and saved, and verifies it.

    It prints a line if this is not the network that was expected.

    Returns:
        Which epoch's network it is, and why; the same in all processes.

    Raises:
        NothingTrained: if there is no intact checkpoint, or the system does not let one be read.
    """
    trainer, saved = prepared.trainer, cast(Checkpoints, prepared.trainer.checkpoint_callback)
    outcome: Any = None
    if trainer.is_global_zero:
        try:
            outcome = _choose(saved.run, _selected(prepared), prepared.task)
        except (NothingTrained, OSError) as error:  # the other processes wait for the outcome
            outcome = str(error)
    outcome = trainer.strategy.broadcast(outcome)
    if isinstance(outcome, str):
        raise NothingTrained(outcome)
    selected, lines = outcome
    for line in lines if trainer.is_global_zero else ():
        say(trainer, line)
    return selected


def _selected(prepared: Prepared) -> Selected:
    """Selects the epoch whose network is tested and saved, by the task's criterion."""
    task, saved = prepared.task, cast(Checkpoints, prepared.trainer.checkpoint_callback)

    def choose(best: float, last: float) -> Selected:
        return task.choose_epoch(best, last, _validation_images(prepared))

    return select(task.experiment.trainer.select, saved.best, saved.latest, choose)


def _choose(run: Path, selected: Selected, task: Task) -> tuple[Selected, list[str]]:
    """Falls back to the other checkpoint if the selected one is missing or damaged; returns lines to print, too."""
    best, last = RunLayout(run).checkpoint("best"), RunLayout(run).checkpoint("last")
    if not os.path.lexists(best) and not os.path.lexists(last):
        raise NothingTrained(
            "the training ended before its first epoch, so there is nothing to test; see trainer.extra"
        )
    paths: dict[str, Path] = {"best": best, "last": last}
    lines = []
    if selected.reason == "no epoch was validated":
        lines.append("no epoch was validated: the last one is tested and saved")
    wrong = _wrong(paths[selected.epoch], task)
    if wrong:
        other = "last" if selected.epoch == "best" else "best"
        if also := _wrong(paths[other], task):
            raise NothingTrained(f"{wrong}; {also}; so there is nothing to test")
        lines.append(f"{wrong}; the {other} epoch's network is tested and saved")
        selected = Selected(other, f"{paths[selected.epoch].name} could not be read")
    if selected.epoch == "last":
        if best.is_dir():
            checkpoints.set_aside(best)
        checkpoints.keep_last_as_best(run)
    return selected, lines


def _wrong(path: Path, task: Task) -> str | None:
    """Describes what is wrong with a checkpoint; None if it is intact and belongs to this network."""
    if not os.path.lexists(path):
        return f"{path} is missing"
    try:
        content = checkpoints.read(path)
    except ValueError as error:
        return str(error)
    other = misfit(content, task)
    return f"{path} {other}" if other else None


def _validation_images(prepared: Prepared) -> int:
    """Computes how many images an epoch validates, which ``trainer.extra`` may limit.

    Lightning's own count is 0 where a run resumes that was stopped in its test.
    """
    images, size = len(prepared.datamodule.splits["val"]), prepared.datamodule.batch_size
    batches = optimization.limited(-(-images // size), prepared.trainer.limit_val_batches)
    return min(images, size * batches)
