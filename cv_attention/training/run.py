"""Defines the run directory: where it is, and what is written into it."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from cv_attention.config import Experiment
from cv_attention.rundir import Damaged, read_yaml, summary
from cv_attention.rundir.checksums import checksum
from cv_attention.rundir.files import write_text
from cv_attention.rundir.layout import RunLayout
from cv_attention.rundir.lock import lock

# Passes the run directory to the processes that its creator starts.
_SHARED_RUN = "CV_ATTENTION_RUN"
_CLAIMED: dict[Path, Callable[[], None]] = {}  # by this process; each releases the lock
_MADE: dict[Path, list[Path]] = {}  # folders above a run directory that were made for it, innermost first


def create(experiment: Experiment, rank: int) -> Path:
    """Creates a new run directory under ``log.root``; the name gets ``-2``, ``-3``, ... when it is taken.

    Args:
        experiment: The configuration; written into the directory as ``config.yaml``.
        rank: Number of this process among all; only process 0 creates the directory.
    """
    if rank > 0:
        return Path(os.environ.get(_SHARED_RUN, experiment.log.root))
    root, name = Path(experiment.log.root), experiment.name()
    number = 1
    while True:
        run = root / (name if number == 1 else f"{name}-{number}")
        missing = [folder for folder in run.parents if not folder.exists()]
        try:
            run.mkdir(parents=True)
            _MADE[run] = missing
            break
        except FileExistsError:
            number += 1
    write_config(run, experiment)
    os.environ[_SHARED_RUN] = str(run)
    return run


def claim(run: Path) -> None:
    """Keeps other processes from training into a run directory, for as long as this one lives.

    Args:
        run: The run directory, which gets a file ``.lock``.

    Raises:
        ValueError: if another process has claimed it, or ``.lock`` is a link; names the run.
    """
    if run.resolve() in _CLAIMED:
        return
    place = RunLayout(run).lock
    if place.is_symlink():  # some versions of filelock would empty the file that it leads to
        raise ValueError(f"{place} is a link; remove it")
    release = lock(place)
    if release is None:
        raise ValueError(f"{run} is being trained by another process")
    _CLAIMED[run.resolve()] = release


def discard(run: Path) -> None:
    """Removes a run directory in which nothing has happened, and the folders that `create` made for it."""
    if release := _CLAIMED.pop(run.resolve(), None):
        release()  # Windows removes no open file
    shutil.rmtree(run)
    for folder in _MADE.pop(run, []):
        if any(folder.iterdir()):
            break
        folder.rmdir()


def write_config(run: Path, experiment: Experiment) -> None:
    """Writes the resolved configuration to ``config.yaml``."""
    write_text(RunLayout(run).config, yaml.safe_dump(experiment.to_dict(), sort_keys=False))


def renew_checksum(run: Path, name: str) -> None:
    """Writes into the summary of a finished run that the file called `name` is another one now."""
    before = summary.read(run)
    if isinstance(listed := before.get(summary.FILES), dict):
        summary.update(run, **{summary.FILES: {**listed, name: checksum(run / name)}})


def is_left_unreported(run: Path, max_epochs: int) -> bool:
    """Returns whether a run of `max_epochs` has been trained and tested, but was ended before all the rest was written.

    Raises:
        ValueError: naming the file, if its summary or its configuration does not say what is needed for that.
    """
    known, config = summary.read(run), RunLayout(run).config
    # a run of an earlier version does not say that it has finished; its report says so
    finished = known.get("finished", RunLayout(run).page.is_file())
    if not known.get("test") or finished or not config.is_file():
        return False
    trainer = read_yaml(config).get("trainer")
    trained = trainer.get("max_epochs") if isinstance(trainer, dict) else None
    if not isinstance(trained, int) or isinstance(trained, bool):
        raise Damaged(
            f"{config}: trainer.max_epochs must be the whole number of epochs that the run was trained, got {trained!r}"
        )
    if max_epochs > trained:
        return False
    summary.check(run, known)
    return True


def check_unfinished(run: Path, checkpoint: dict[str, Any], max_epochs: int) -> None:
    """Raises ValueError if the run has been trained for `max_epochs` and tested: the test split is looked at once."""
    epochs = checkpoint["epoch"] + 1
    if epochs >= max_epochs and summary.read(run).get("test"):
        raise ValueError(f"{run} has finished its {epochs} epochs; --trainer.max_epochs {epochs + 10} trains it longer")


def check_kept(run: Path) -> None:
    """Raises ValueError if the run has finished and its ``log.keep`` left no checkpoint to resume from."""
    there = any(RunLayout(run).checkpoint(name).is_file() for name in ("last", "previous"))
    if summary.read(run).get("test") and not there:
        raise ValueError(f"{run} has finished, and log.keep left no last.ckpt to resume from")
