"""Ends work at once on Ctrl-C and other signals, where there is nothing to save."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from cv_attention.training.stopping.interruption import Terminated, heard


@contextmanager
def ending_at_once(words: Callable[[], str | None], pass_on: Callable[[], bool] = bool) -> Iterator[None]:
    """Makes SIGTERM and similar signals end the process with one line and exit code 128 + signal, without saving.

    A second signal ends the process silently, whatever it is doing. The previous handlers are restored afterwards.

    Args:
        words: Text after ``stopped by SIGTERM``; None prints nothing, for all processes but the first.
        pass_on: Forwards the signal to the processes that this one started. If it returns True, they decide when to
            end and this process waits for them.
    """
    process = os.getpid()
    handlers: dict[int, Any] = {}

    def end(number: int, frame: Any) -> None:
        if os.getpid() != process:  # a forked process, such as a loader worker
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        if pass_on():
            return
        if number == signal.SIGINT:
            signal.default_int_handler(number, frame)
        for handled in handlers:
            if handled != signal.SIGINT:
                signal.signal(handled, signal.SIG_DFL)
        stop, advice = Terminated(number), words()
        if advice is not None:
            os.write(2, f"stopped by {stop.signal}{advice}\n".encode())
        raise stop

    for number in heard():
        handlers[number] = signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextmanager
def raising_keyboard_interrupt(words: Callable[[], str | None]) -> Iterator[None]:
    """Makes Ctrl-C raise KeyboardInterrupt, as Python callers and notebooks expect; its message says what to do next.

    Lightning 2.6 turns it into SystemExit with exit code 1, and ignores SIGINT from then on. `Terminated`, which
    passes through Lightning, is converted too if it was caused by SIGINT.

    Args:
        words: Text after ``stopped by SIGINT``; None makes the message empty.
    """
    before = signal.getsignal(signal.SIGINT) if signal.SIGINT in heard() else None
    try:
        yield
    except (KeyboardInterrupt, SystemExit) as end:
        by_hand = isinstance(end, KeyboardInterrupt) or isinstance(end.__context__, KeyboardInterrupt)
        if not by_hand and getattr(end, "signal", None) != "SIGINT":
            raise
        advice = getattr(end, "words", None) or words()
        raise KeyboardInterrupt("" if advice is None else f"stopped by SIGINT{advice}") from None
    finally:
        if before is not None:
            signal.signal(signal.SIGINT, before)
