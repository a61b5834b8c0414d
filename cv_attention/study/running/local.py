"""Runs trials in a pool of local processes, each forked from one that has imported everything."""

import multiprocessing
import os
from collections.abc import Callable, Sequence
from multiprocessing.connection import wait
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

from cv_attention.study.design.trials import Trial
from cv_attention.study.running.bookkeeping import Account
from cv_attention.study.running.engine import LOST, Ended
from cv_attention.study.running.worker import IMPORTED, work


class LocalEngine(Account):
    """A pool of processes on this machine, which share its processors and GPUs.

    With several GPUs, each place of the pool has one of them, or as many as ``trainer.devices`` says; more places than
    GPUs share them in turn.

    Args:
        workers: How many trials are trained at once.
        threads: Threads of each; None divides the processors that this process may use.
        target: What a process runs; `worker.work`, but for tests.
        context: Of `multiprocessing`; None forks processes from one that has imported everything.
        gpus: Names of the GPUs as in ``CUDA_VISIBLE_DEVICES``; None takes those that this process sees.

    Attributes:
        workers: How many trials are trained at once.
        threads: Threads of each.

    Examples:
        >>> from cv_attention.study import LocalEngine
        >>> engine = LocalEngine(2, threads=1)
        >>> engine.free, engine.running  # nothing starts before a study does
        (2, [])
    """

    def __init__(
        self,
        workers: int,
        threads: int | None = None,
        *,
        target: Callable[..., None] = work,
        context: BaseContext | None = None,
        gpus: Sequence[str] | None = None,
    ) -> None:
        super().__init__(workers, threads or max(1, _processors() // workers))
        self._target = target
        self._unstarted: list[Ended] = []
        self._context: Any = context
        self._gpus = gpus
        self._places: dict[Any, int] = {}

    @property
    def processes(self) -> list[int]:
        """Process ids of the trials that are being trained."""
        return [process.pid for process, _, _ in self._running.values() if process.pid]

    def open(self, root: Path) -> None:
        """Finds out which GPUs there are.

        Args:
            root: Folder of the studies, in which this engine keeps nothing.
        """
        if self._gpus is None:
            self._gpus = _gpus()

    def close(self) -> None:
        """Does nothing: the pool has ended with its last trial."""

    def start(self, trial: Trial, log: Path) -> None:
        """Starts a trial in a new process.

        Args:
            trial: The trial.
            log: File that takes what it prints.
        """
        if self._context is None:
            self._context = _context(self.threads, IMPORTED if self._target is work else [])
        place = min(set(range(self.workers)) - set(self._places.values()))
        visible = _share(self._gpus or (), place, trial.experiment.trainer.devices)
        arguments = (trial.experiment.to_dict(), self.threads, str(log), visible, trial.at_test)
        process = self._context.Process(target=self._target, args=arguments, name=str(trial))
        try:
            process.start()
        except (EOFError, OSError):  # it, or the process that it is forked from, was killed at this very moment
            self._unstarted.append(Ended(trial, LOST, 0.0))
            return
        self._begin(process.sentinel, process, trial)
        self._places[process.sentinel] = place

    def ended(self, timeout: float) -> list[Ended]:
        """Waits until a process has ended, and returns all that have; none after `timeout` seconds."""
        found, self._unstarted = self._unstarted, []
        for sentinel in wait(list(self._running), 0 if found else timeout):
            process, trial, seconds = self._take(sentinel)
            self._places.pop(sentinel, None)
            process.join()
            found.append(Ended(trial, process.exitcode or 0, seconds))
            process.close()
        return found

    def stop(self) -> None:
        """Asks all processes, each once, to write a checkpoint and end; does not wait for them."""
        for sentinel, (process, _, _) in list(self._running.items()):
            if sentinel not in self._told:
                self._told.add(sentinel)
                process.terminate()

    def kill(self) -> None:
        """Ends all processes at once."""
        for process, _, _ in list(self._running.values()):
            process.kill()


def code_of_only(engine: LocalEngine, is_stopped: Callable[[], bool]) -> int:
    """Waits for the only trial of a pool on another machine, and returns the exit code of its process.

    Args:
        engine: The pool, with one trial.
        is_stopped: Whether the trial was asked to write a checkpoint and end; looked at once a second.
    """
    while True:
        if is_stopped():
            engine.stop()
        for ended in engine.ended(1.0):
            return ended.code


def _context(threads: int, imported: list[str]) -> Any:
    """Starts the process that all others are forked from; where there is no fork, each imports everything itself."""
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
    if "forkserver" in methods:
        context.set_forkserver_preload(imported)
    return context


def _processors() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        return os.cpu_count() or 1


def _gpus() -> list[str]:
    """Returns the names of the GPUs that this process may use; asks the driver without starting CUDA."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name.strip() for name in named.split(",") if name.strip()]
    import torch

    return [str(number) for number in range(torch.cuda.device_count())]


def _share(gpus: Sequence[str], place: int, devices: int | str) -> str | None:
    """Returns ``CUDA_VISIBLE_DEVICES`` for one place of the pool; None where there are no GPUs to divide."""
    if not gpus:
        return None
    count = min(devices, len(gpus)) if isinstance(devices, int) and devices > 0 else 1
    return ",".join(gpus[(place * count + number) % len(gpus)] for number in range(count))
