"""Graceful shutdown: SIGINT and SIGTERM take effect at the next safe point."""

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import lightning
import torch
from torch import distributed

# Ctrl-C is SIGINT; SLURM sends SIGTERM to a cancelled or preempted job, SIGUSR1 with `--signal=USR1@90`;
# other queues send SIGUSR2 and SIGXCPU; a closed terminal sends SIGHUP. SIGQUIT still ends the process at once.
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGXCPU")
_SIGNALS = tuple(getattr(signal, name) for name in _NAMES if hasattr(signal, name))
_SECONDS = 1.0  # between two synchronizations of several processes


class Terminated(SystemExit):
    """Raised by `fit` after a signal such as SIGTERM, once what can be resumed has been written.

    It is a `SystemExit` with the exit code 128 + the number of the signal.

    Args:
        number: Number of the signal.
        words: Text to print after ``stopped by SIGINT`` if it has not been printed yet.

    Attributes:
        signal: Name of the signal.
        words: The text.

    Examples:
        >>> from cv_attention.training import Terminated
        >>> stopped = Terminated(15)
        >>> stopped.signal, stopped.code
        ('SIGTERM', 143)
    """

    def __init__(self, number: int, words: str = "") -> None:
        super().__init__(128 + number)
        self.signal, self.words = signal.Signals(number).name, words


def heard() -> list[int]:
    """Returns the signals that end work in this thread: none outside the main thread, and no ignored ones.

    SIGINT is ignored in a script's background job, where Ctrl-C is meant for others, and SIGHUP under nohup.
    """
    if threading.current_thread() is not threading.main_thread():
        return []
    return [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]


def silence_lightning(trainer: lightning.Trainer) -> None:
    """Prevents Lightning 2.6 from handling the signals.

    Its handler exits with code 0 and without a checkpoint, and with several processes it broadcasts in
    every step (pytorch-lightning #20806, #21487).
    """
    connector: Any = trainer._signal_connector
    connector.register_signal_handlers = _nothing
    epoch_loop: Any = trainer.fit_loop.epoch_loop
    epoch_loop._broadcast_sigterm_tensor = _nothing


def _nothing() -> None:
    pass


class Interruption:
    """Receives signals, and agrees with the other processes on them.

    A single process checks after every step, at no cost. Several processes agree by a small reduction on the CPU about
    once a second, however long a step takes: each reduction also decides after how many steps the next one happens. If
    each process stopped at the step at which it received the signal, the others would wait for it forever.
    A second Ctrl-C raises KeyboardInterrupt as usual.

    Args:
        pass_on: Called with SIGTERM, to forward it to the processes that this one started, which may not have received
            it.

    Attributes:
        received: The first signal received, 0 for none.
    """

    def __init__(self, *, pass_on: Callable[[int], object] | None = None) -> None:
        self.received = 0
        self._pass_on = pass_on
        self._handlers: dict[int, Any] = {}
        self._process = os.getpid()
        self._group: Any = None
        self._calls, self._next, self._asked = 0, 1, time.monotonic()
        self._last = 0

    def listen(self) -> None:
        """Starts handling the signals; with several processes, all must call this."""
        self._process = os.getpid()
        for number in heard():
            if number not in self._handlers:
                self._handlers[number] = signal.signal(number, self._hear)
        if self._several() and distributed.get_backend() != "gloo":
            self._group = distributed.new_group(backend="gloo")  # the device need not wait for this

    def follow_fork(self) -> None:
        """Receives the signals in this process too, which was forked from the listening one to do its work."""
        self._process = os.getpid()

    def stop_listening(self) -> None:
        """Restores the previous signal handlers."""
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}

    def _hear(self, number: int, _: Any) -> None:
        if os.getpid() != self._process:  # a loader worker, which is about to ignore signals
            return
        if number == signal.SIGINT:
            signal.signal(number, self._handlers[number])
            if not self.received and not (self._several() and distributed.get_rank()):
                # print might be what was interrupted
                os.write(2, b"\nstopping at the next safe point; press Ctrl-C again to end at once\n")
        self.received = self.received or number
        if self._pass_on is not None:
            self._pass_on(signal.SIGTERM)

    def agree(self, wish: bool = False, *, at_once: bool = False) -> tuple[int, bool]:
        """Returns the signal that any process received (0 for none), and whether any process has the `wish`.

        All processes must call this equally often; all get the same answer, delayed by about a second unless
        `at_once` is set.
        """
        if not self._several():
            return self.received, wish
        self._calls += 1
        if self._calls < self._next and not at_once:
            return 0, False
        steps, seconds = self._calls - self._last, max(time.monotonic() - self._asked, 1e-6)
        wait = max(1, min(int(steps * _SECONDS / seconds), 2 * steps))
        state = torch.tensor([self.received, int(wish), wait])
        distributed.all_reduce(state, distributed.ReduceOp.MAX, group=self._group)
        self._last, self._next, self._asked = self._calls, self._calls + int(state[2]), time.monotonic()
        return int(state[0]), bool(state[1])

    @staticmethod
    def _several() -> bool:
        return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1
