"""Signals that end a training or an export: wishes to stop, which are obeyed where nothing is lost."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import lightning
import torch
from torch import distributed

# Ctrl-C is SIGINT; SLURM sends SIGTERM to a cancelled or preempted job, SIGUSR1 where `--signal=USR1@90` asks for it.
_NAMES = ("SIGINT", "SIGTERM", "SIGUSR1")
_SIGNALS = tuple(getattr(signal, name) for name in _NAMES if hasattr(signal, name))
_SECONDS = 1.0  # between two agreements of several processes


class Terminated(SystemExit):
    """Work was stopped by a signal, after what was done had been written; the exit code is 128 + the signal."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.signal = signal.Signals(number).name


@contextmanager
def ending_at_once(words: Callable[[], str | None]) -> Iterator[None]:
    """Lets SIGTERM and SIGUSR1 end the process with one line and the code 128 + signal, where nothing is to be saved.

    Args:
        words: What stands behind ``stopped by SIGTERM``; None prints nothing, for all processes but the first.
    """
    process, handlers = os.getpid(), {}

    def end(number: int, _: Any) -> None:
        signal.signal(number, signal.SIG_DFL if os.getpid() != process else signal.SIG_IGN)
        if os.getpid() != process:  # one that was forked, such as a loader's
            os.kill(os.getpid(), number)
            return
        stop, said = Terminated(number), words()
        if said is not None:
            os.write(2, f"stopped by {stop.signal} {said}\n".encode())
        raise stop

    if threading.current_thread() is threading.main_thread():
        handlers = {number: signal.signal(number, end) for number in _SIGNALS if number != signal.SIGINT}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def silence_lightning(trainer: lightning.Trainer) -> None:
    """Takes the signals away from Lightning 2.6.

    Its handler lets the process exit with code 0 and without a checkpoint, and with several processes it broadcasts in
    every step (pytorch-lightning #20806, #21487).
    """
    connector: Any = trainer._signal_connector
    connector.register_signal_handlers = _nothing
    epoch_loop: Any = trainer.fit_loop.epoch_loop
    epoch_loop._broadcast_sigterm_tensor = _nothing


def _nothing() -> None:
    pass


class Interruption:
    """Hears signals, and agrees with the other processes on what they heard.

    A single process asks itself after every step, which is free. Several processes agree by a small reduction on the
    CPU about once a second, whatever a step takes: each agreement also settles after how many steps the next one is.
    Were each process to stop at the step at which it heard the signal, the others would wait for it forever.
    A second Ctrl-C raises KeyboardInterrupt, as ever.

    Args:
        pass_on: Given SIGTERM for the processes that this one started: they need not have got the signal themselves.

    Attributes:
        received: The first signal that came, 0 for none.
    """

    def __init__(self, *, pass_on: Callable[[int], object] | None = None) -> None:
        self.received = 0
        self._pass_on = pass_on
        self._handlers: dict[int, Any] = {}
        self._group: Any = None
        self._calls, self._next, self._asked = 0, 1, time.monotonic()
        self._last = 0

    def listen(self) -> None:
        """Handles the signals from now on; of several processes all must call this."""
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                if number == signal.SIGINT and signal.getsignal(number) is signal.SIG_IGN:
                    continue  # a script's background job: Ctrl-C is meant for others
                self._handlers[number] = signal.signal(number, self._hear)
        if self._several() and distributed.get_backend() != "gloo":
            self._group = distributed.new_group(backend="gloo")  # the device need not wait for this

    def stop_listening(self) -> None:
        """Gives the signals back."""
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}

    def _hear(self, number: int, _: Any) -> None:
        if number == signal.SIGINT:
            signal.signal(number, self._handlers[number])
            if not self.received and not (self._several() and distributed.get_rank()):
                # print might be what was interrupted
                os.write(2, b"\nstopping where nothing is lost; Ctrl-C again ends at once\n")
        self.received = self.received or number
        if self._pass_on is not None:
            self._pass_on(signal.SIGTERM)

    def agree(self, wish: bool = False) -> tuple[int, bool]:
        """Returns the signal that any process received (0 for none), and whether any process has the `wish`.

        All processes must call this equally often; the answer is the same in each, and late by about a second.
        """
        if not self._several():
            return self.received, wish
        self._calls += 1
        if self._calls < self._next:
            return 0, False
        steps, seconds = self._calls - self._last, max(time.monotonic() - self._asked, 1e-6)
        wait = max(1, min(int(steps * _SECONDS / seconds), 2 * steps))
        said = torch.tensor([self.received, int(wish), wait])
        distributed.all_reduce(said, distributed.ReduceOp.MAX, group=self._group)
        self._last, self._next, self._asked = self._calls, self._calls + int(said[2]), time.monotonic()
        return int(said[0]), bool(said[1])

    @staticmethod
    def _several() -> bool:
        return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1
