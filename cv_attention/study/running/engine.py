"""Defines what a study asks of the machines that train it: places for trials, and how each trial has ended."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cv_attention.study.design.trials import Trial

LOST = 255  # exit code of a process of which nobody knows how it ended


@dataclass(frozen=True)
class Ended:
    """One process that has ended.

    Attributes:
        trial: What it trained.
        code: Its exit code; below 0 is the signal that killed it.
        seconds: How long it lived.
    """

    trial: Trial
    code: int
    seconds: float


class EngineLost(Exception):
    """Signals that the machines cannot be reached any more; no trial is to blame.

    Examples:
        >>> from cv_attention.study import EngineLost
        >>> str(EngineLost("the Ray cluster is lost"))
        'the Ray cluster is lost'
    """


class Engine(Protocol):
    """Trains trials in processes somewhere.

    Attributes:
        workers: How many trials are trained at once, known after `open`.
        threads: Threads of each.

    Examples:
        >>> from cv_attention.study import LocalEngine
        >>> from cv_attention.study.running.engine import Engine
        >>> engine: Engine = LocalEngine(2, threads=1)
        >>> engine.workers, engine.threads
        (2, 1)
    """

    workers: int
    threads: int

    @property
    def free(self) -> int:
        """How many more trials can start now."""
        ...

    @property
    def running(self) -> list[Trial]:
        """The trials that have been started and have not ended."""
        ...

    def open(self, root: Path) -> None:
        """Connects to the machines.

        Args:
            root: Folder of the studies, in which an engine may keep files of its own.
        """
        ...

    def close(self) -> None:
        """Disconnects, after all trials have ended."""
        ...

    def start(self, trial: Trial, log: Path) -> None:
        """Starts a trial, or queues it.

        Args:
            trial: The trial.
            log: File that takes what it prints.
        """
        ...

    def ended(self, timeout: float) -> list[Ended]:
        """Waits until a trial has ended, and returns all that have; none after about `timeout` seconds."""
        ...

    def stop(self) -> None:
        """Asks all trials, each once, to write a checkpoint and end; does not wait, and may be called by a signal."""
        ...

    def kill(self) -> None:
        """Ends all trials at once; may be called by a signal."""
        ...
