"""The processes that a training or an export starts on its own machine: signals for them, and what their ends mean."""

import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import enumerate as threads
from typing import Any

import lightning
from lightning.pytorch.strategies.launchers.multiprocessing import _MultiProcessingLauncher
from torch.multiprocessing.spawn import ProcessException, ProcessExitedException

from cv_attention.training.stopping.interruption import Terminated, heard

# Exceptions that stand for one line, by the names that a process writes before their messages.
_RAISED = re.compile(r"^(?P<name>[\w.]+)(?:: (?P<message>.*))?$", re.DOTALL)

# What gloo, NCCL and torch's store say when another process is gone.
_LOST = re.compile(r"closed by peer|reset by peer|connection refused|broken pipe|timed? ?out|nccl.*remote", re.I)


class LostProcess(RuntimeError):
    """Another process of the training has ended before its time."""


def pass_on(trainer: lightning.Trainer) -> bool:
    """Sends SIGTERM to the processes that the trainer has started from this one: they need not have got the signal.

    Returns:
        Whether they do all the work (``ddp_fork``, ``ddp_spawn``), so that this process has only to wait for them.
    """
    launcher: Any = trainer.strategy.launcher
    if launcher is None:
        return False
    with suppress(ProcessLookupError):
        launcher.kill(signal.SIGTERM)
    return all_work(trainer) and any(process.is_alive() for process in launcher.procs)


def all_work(trainer: lightning.Trainer) -> bool:
    """Whether processes that are started from this one do all its work, and it waits: ``ddp_fork``, ``ddp_spawn``."""
    return isinstance(trainer.strategy.launcher, _MultiProcessingLauncher)


def spare(trainer: lightning.Trainer) -> None:
    """Keeps Lightning's observer from killing this process because the others have ended, as they should."""
    launcher: Any = trainer.strategy.launcher
    for thread in threads():
        if launcher is not None and thread.name == "child-process-observer":
            thread._child_processes = []  # pyright: ignore[reportAttributeAccessIssue]


@contextmanager
def meaning_of_ends(
    trainer: lightning.Trainer, words: Callable[[], str | None], known: tuple[type[Exception], ...]
) -> Iterator[None]:
    """Translates torch's account of processes that ended before their time.

    Args:
        trainer: What runs in the processes.
        words: What stands behind ``stopped by SIGTERM`` where the signal gave a process no time to say it.
        known: Exceptions that are raised again here, with their messages, if one of the processes ended with one.

    Raises:
        Terminated: if they were stopped by a signal that ends work.
        LostProcess: if one was killed or crashed.
    """
    try:
        yield
    except ProcessExitedException as error:
        code = error.exit_code
        number = -code if code < 0 else code - 128
        if number in heard():
            stop = Terminated(number)
            if code < 0 and number != signal.SIGINT:
                print(f"stopped by {stop.signal}{words() or ''}", file=sys.stderr, flush=True)
            raise stop from error
        how = f"ended by {error.signal_name}" if error.signal_name else f"ended with exit code {code}"
        raise LostProcess(f"process {error.error_index} of this training was {how}") from error
    except ProcessException as error:
        found = _RAISED.match(error.msg.strip().splitlines()[-1])
        name, message = (found["name"].rpartition(".")[2], found["message"] or "") if found else ("", "")
        for kind in known:
            if name == kind.__name__:
                raise kind(message) from error
        if _LOST.search(message):
            raise _lost(error.error_index, message) from error
        raise
    except RuntimeError as error:
        if trainer.world_size == 1 or not _LOST.search(str(error)):
            raise
        raise _lost(trainer.global_rank, str(error)) from error


def _lost(rank: int, message: str) -> LostProcess:
    """Names the process and the first sentence of what gloo or NCCL says, without the place in their sources."""
    reason = re.sub(r"^\[\S+\] ", "", " ".join(message.split())).partition(". ")[0]
    return LostProcess(
        f"process {rank} has lost another process of this training, which has ended or cannot be reached ({reason})"
    )
