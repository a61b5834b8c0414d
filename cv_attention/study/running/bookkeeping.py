"""Keeps account of the trials that an engine has started."""

import time
from abc import ABC, abstractmethod
from typing import Any

from cv_attention.study.design.trials import Trial


class Account:
    """Knows which trials are running, in what, and since when: the part of an `Engine` that all of them share.

    Args:
        workers: How many trials run at once.
        threads: Threads of each.

    Attributes:
        workers: How many trials run at once.
        threads: Threads of each.
    """

    def __init__(self, workers: int, threads: int) -> None:
        self.workers, self.threads = workers, threads
        # What the engine knows a trial by -> what runs it, the trial, and when it was started.
        self._running: dict[Any, tuple[Any, Trial, float]] = {}
        self._told: set[Any] = set()  # those that were asked to end

    @property
    def free(self) -> int:
        """How many more trials can start now."""
        return self.workers - len(self._running)

    @property
    def running(self) -> list[Trial]:
        """The trials that have been started, or wait for a machine, and have not ended."""
        return [trial for _, trial, _ in self._running.values()]

    def _begin(self, key: Any, runner: Any, trial: Trial) -> None:
        self._running[key] = (runner, trial, time.monotonic())

    def _take(self, key: Any) -> tuple[Any, Trial, float]:
        """Removes a trial that has ended, and returns what ran it, the trial, and how many seconds it was there."""
        runner, trial, since = self._running.pop(key)
        self._told.discard(key)
        return runner, trial, time.monotonic() - since


class RemoteAccount(Account, ABC):
    """Adds what engines need whose trials run elsewhere: a signal only notes what is wanted.

    The signal may have interrupted a call of the library that reaches the machines, so that what it wants is done at
    the engine's next look at its trials.
    """

    def __init__(self, workers: int, threads: int) -> None:
        super().__init__(workers, threads)
        self._wanted: set[str] = set()

    def stop(self) -> None:
        """Asks all trials to write a checkpoint and end, at the next look at them."""
        self._wanted.add("stop")

    def kill(self) -> None:
        """Ends all trials at the next look at them."""
        self._wanted.add("kill")

    def _obey(self) -> None:
        """Does what a signal has asked for."""
        for key, (runner, trial, _) in list(self._running.items()):
            if "kill" in self._wanted:
                self._kill_one(runner)
            elif "stop" in self._wanted and key not in self._told:
                self._told.add(key)
                self._stop_one(runner, trial)

    @abstractmethod
    def _stop_one(self, runner: Any, trial: Trial) -> None:
        """Asks a trial to write a checkpoint and end; one that waits for a machine ends at once."""

    @abstractmethod
    def _kill_one(self, runner: Any) -> None:
        """Ends a trial at once."""


def gpus_of(trial: Trial) -> int:
    """Returns how many GPUs a trial's configuration asks for.

    Args:
        trial: The trial.
    """
    trainer = trial.experiment.trainer
    if trainer.accelerator == "cpu":
        return 0
    return trainer.devices if isinstance(trainer.devices, int) else 1
