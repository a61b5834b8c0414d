"""Forwards signals to locally launched processes of training or an export, and interprets how they ended."""

import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from subprocess import Popen
from threading import enumerate as threads
from typing import Any

import lightning
from lightning.pytorch.strategies.launchers.multiprocessing import _MultiProcessingLauncher
from torch.multiprocessing.spawn import ProcessException, ProcessExitedException

from cv_attention.training.stopping.interruption import Terminated, heard

# An exception printed in one line: its name, then its message.
_RAISED = re.compile(r"^(?P<name>[\w.]+)(?:: (?P<message>.*))?$", re.DOTALL)

# Messages of gloo, NCCL and torch's store when another process is gone.
_LOST = re.compile(r"closed by peer|reset by peer|connection refused|broken pipe|timed? ?out|nccl.*remote", re.I)

_PATIENCE = 2  # seconds for a process to end after its connection did


class LostProcess(RuntimeError):
    """Raised by `fit` if another process of a distributed training run has ended prematurely.

    Resume the run from its last checkpoint.
    """


def pass_on(trainer: lightning.Trainer) -> bool:
    """Sends SIGTERM to the processes that the trainer has launched from this one, which may not have received it.

    Returns:
        Whether they do all the work (``ddp_fork``, ``ddp_spawn``), so that this process only waits for them.
    """
    launcher: Any = trainer.strategy.launcher
    if launcher is None:
        return False
    with suppress(ProcessLookupError):
        launcher.kill(signal.SIGTERM)
    return all_work(trainer) and any(process.is_alive() for process in launcher.procs)


def all_work(trainer: lightning.Trainer) -> bool:
    """Returns whether launched processes do all the work while this one waits: ``ddp_fork``, ``ddp_spawn``."""
    return isinstance(trainer.strategy.launcher, _MultiProcessingLauncher)


def spare(trainer: lightning.Trainer) -> None:
    """Keeps Lightning's observer from killing this process after the others have ended normally."""
    launcher: Any = trainer.strategy.launcher
    for thread in threads():
        if launcher is not None and thread.name == "child-process-observer":
            thread._child_processes = []  # pyright: ignore[reportAttributeAccessIssue]


@contextmanager
def meaning_of_ends(
    trainer: lightning.Trainer, words: Callable[[], str | None], known: tuple[type[Exception], ...]
) -> Iterator[None]:
    """Translates torch's errors about processes that ended prematurely.

    Args:
        trainer: The trainer that runs in the processes.
        words: Text after ``stopped by SIGTERM``, for a process that had no time to print it.
        known: Exceptions that are raised again here, with their messages, if a process ended with one.

    Raises:
        Terminated: if they were stopped by a signal that ends work.
        LostProcess: if one was killed or crashed.
    """
    try:
        yield
    except ProcessExitedException as error:
        raise _end_of(error.error_index, error.exit_code, words, silent=error.exit_code > 0) from error
    except ProcessException as error:
        match = _RAISED.match(error.msg.strip().splitlines()[-1])
        name, message = (match["name"].rpartition(".")[2], match["message"] or "") if match else ("", "")
        for kind in known:
            if name == kind.__name__:
                raise kind(message) from error
        if _LOST.search(message):
            raise _lost(error.error_index, message) from error
        raise
    except RuntimeError as error:
        if trainer.world_size == 1 or not _LOST.search(str(error)):
            raise
        if ended := _ended_child(trainer):
            raise _end_of(*ended, words) from error
        raise _lost(trainer.global_rank, str(error)) from error


def _ended_child(trainer: lightning.Trainer) -> tuple[int, int] | None:
    """Returns rank and exit code of a process that this one launched and that failed, which may take it a moment."""
    children = enumerate(getattr(trainer.strategy.launcher, "procs", ()), start=trainer.global_rank + 1)
    started = [(rank, child) for rank, child in children if isinstance(child, Popen)]
    end = time.monotonic() + _PATIENCE
    while started and time.monotonic() < end:
        if failed := [(rank, child.returncode) for rank, child in started if child.poll()]:
            return failed[0]
        time.sleep(0.05)
    return None


def _end_of(rank: int, code: int, words: Callable[[], str | None], silent: bool = False) -> Terminated | LostProcess:
    """Says how a process ended, by its exit code: below 0 is the signal that killed it, 128 + signal that it obeyed.

    Args:
        rank: Its rank.
        code: Its exit code.
        words: Text after ``stopped by SIGTERM``.
        silent: Whether the process itself has printed that line.
    """
    number = -code if code < 0 else code - 128
    if number in heard():
        stop = Terminated(number)
        if not silent and number != signal.SIGINT:
            print(f"stopped by {stop.signal}{words() or ''}", file=sys.stderr, flush=True)
        return stop
    with suppress(ValueError):
        return LostProcess(f"process {rank} was ended by {signal.Signals(-code).name}")
    return LostProcess(f"process {rank} ended with exit code {code}")


def _lost(rank: int, message: str) -> LostProcess:
    """Names the process and the first sentence of the gloo or NCCL message, without its source location."""
    reason = re.sub(r"^\[\S+\] ", "", " ".join(message.split())).partition(". ")[0]
    return LostProcess(f"process {rank} lost another process, which has ended or cannot be reached ({reason})")
