"""Trains one trial in a process of its own, as ``fit --resume auto`` would."""

import faulthandler
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import replace
from multiprocessing import parent_process
from pathlib import Path
from typing import Any

from cv_attention.blocks.trust import class_paths_in, class_paths_of
from cv_attention.comparison.requested import FILLED_IN
from cv_attention.config import Experiment
from cv_attention.config.plain import from_plain
from cv_attention.rundir import read_yaml
from cv_attention.rundir.layout import RunLayout
from cv_attention.study.design.trials import foreign, record_failure, remove_unused, set_aside, state
from cv_attention.study.running.at_test import DISK_FULL, MEASUREMENTS

# What a trial's process has imported before it starts.
IMPORTED = [
    "cv_attention.training", "cv_attention.data.datamodule", "cv_attention.backbones.models.build",
    "cv_attention.report.write.build", "cv_attention.study.running.worker", "albumentations", "timm.optim",
    "timm.scheduler", "sklearn.datasets", "sklearn.model_selection",
]  # fmt: skip
# Exit codes; others, and signals, are lost processes.
DONE, FAILED, FULL, AGAIN, BUSY, STOPPED = 0, 1, 74, 75, 76, 143
_PATIENCE = 120.0  # seconds for the process of a killed driver to write its checkpoint and end


def work(
    plain: Mapping[str, Any], threads: int, log: str, gpus: str | None = None, at_test: Sequence[str] = ()
) -> None:
    """Trains and tests one trial, measures what the study asks for, and ends the process with one of the codes above.

    The process has a session of its own: Ctrl-C reaches the driver alone, which sends SIGTERM on. If the driver is
    killed, the process stops as by SIGTERM, with a checkpoint.

    Args:
        plain: The configuration, plain values; ``log.root`` and ``log.name`` say where the run directory is.
        threads: Threads of torch.
        log: File that takes what is printed.
        gpus: ``CUDA_VISIBLE_DEVICES`` of this process; None leaves it as it is.
        at_test: What is measured of the tested network, see `Controls.at_test`.
    """
    _print_to(log)
    if gpus is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus  # nothing has started CUDA yet
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(os, "setsid"):
        os.setsid()
    threading.Thread(target=_follow_driver, daemon=True).start()
    experiment = from_plain(Experiment, plain)
    run = Path(experiment.log.root) / str(experiment.log.name)
    code = _done(experiment, run, threads, at_test)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # what libraries do at exit takes a second


def _done(experiment: Experiment, run: Path, threads: int, at_test: Sequence[str]) -> int:
    import torch

    try:
        torch.set_num_threads(threads)
        if not _trained(experiment, run):
            return BUSY
        for what in at_test:
            MEASUREMENTS[what](run, experiment)
    except (SystemExit, KeyboardInterrupt) as stop:
        print(f"stopped: {stop!r}", file=sys.stderr)
        return STOPPED
    except _Unusable as error:
        print(f"cannot be resumed: {error}; {run} is kept as {set_aside(run).name}", file=sys.stderr)
        return AGAIN
    except Exception as error:  # whatever a network of one's own raises is the trial's result
        traceback.print_exc()
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            return FULL
        record_failure(run, experiment, f"{type(error).__name__}: {' '.join(str(error).split())[:500]}")
        return FAILED
    return DONE


def _trained(experiment: Experiment, run: Path) -> bool:
    """Trains and tests the trial, or what is left of it; False if another process holds its directory."""
    from cv_attention import training

    try:
        resumed = _claimed(run)
    except _Finished:
        return True
    if resumed is not None and not resumed:
        return False
    training.fit(_prepared(experiment, run, bool(resumed)))
    return True


class _Finished(Exception):
    """Signals a run that another process has finished, while this one waited for its directory."""


class _Unusable(Exception):
    """Signals a run directory that nothing can be resumed from."""


def _claimed(run: Path) -> bool | None:
    """Claims a run directory and returns True where it can be resumed; removes one in which nothing has happened.

    Returns:
        None for a new run; False if another process holds the directory for longer than its end would take.

    Raises:
        _Finished: if there is nothing left to do.
    """
    from cv_attention.training import run as runs

    if not run.exists():
        return None
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            runs.claim(run)
            break
        except ValueError as error:
            if "another process" not in str(error):
                raise
            if time.monotonic() > end:
                return False
            time.sleep(0.2)
    checkpoints = [RunLayout(run).checkpoint(name) for name in ("last", "previous")]
    found, unreported = state(run)[0], runs.is_left_unreported(run, 1)
    if found == "finished" and not unreported:
        raise _Finished
    tested = found in ("finished", "started") and unreported
    if tested or any(path.is_file() for path in checkpoints):
        return True
    runs.discard(run)
    if run.exists():
        remove_unused(run)
    return None


def _prepared(experiment: Experiment, run: Path, resumed: bool) -> Any:
    """Prepares a new run, or resumes one: its directory adds what it has filled in, and no class to be imported."""
    from cv_attention import training

    if not resumed:
        return training.prepare(experiment, None, task=training.task_of(experiment))
    config = RunLayout(run).config
    try:
        if other := foreign(run, experiment):
            raise _Unusable(other)
        data = from_plain(Experiment, read_yaml(config)).data
        filled = {name: getattr(data, name) for name in (each.removeprefix("data.") for each in FILLED_IN)}
        own = replace(experiment, data=replace(experiment.data, **filled))
        with class_paths_of(config, class_paths_in(experiment.to_dict())):
            return training.prepare(own, run, task=training.task_of(own))
    except (ValueError, OSError, KeyError) as error:
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            raise
        raise _Unusable(" ".join(str(error).split())) from error


def _print_to(log: str) -> None:
    Path(log).parent.mkdir(parents=True, exist_ok=True)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    os.dup2(file, 1)
    os.dup2(file, 2)
    sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    faulthandler.enable()


def _follow_driver() -> None:
    """Stops this process as SIGTERM does once the driver is gone."""
    driver = parent_process()
    if driver is not None:
        driver.join()
        os.kill(os.getpid(), signal.SIGTERM)
