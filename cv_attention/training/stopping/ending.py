"""What Ctrl-C and other signals do where nothing is to be saved: they end the work at once."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from cv_attention.training.stopping.interruption import Terminated, heard


@contextmanager
def ending_at_once(words: Callable[[], str | None], pass_on: Callable[[], bool] = bool) -> Iterator[None]:
    """Lets SIGTERM and its like end the process with one line and the code 128 + signal, where nothing is to be saved.

    A second signal ends the process without any line, whatever it is doing. The handlers of before are back afterwards.

    Args:
        words: What stands behind ``stopped by SIGTERM``; None prints nothing, for all processes but the first.
        pass_on: Tells the processes that this one started. Where it returns True they decide about the end, and this
            process waits for them.
    """
    process = os.getpid()
    handlers: dict[int, Any] = {}

    def end(number: int, frame: Any) -> None:
        if os.getpid() != process:  # one that was forked, such as a loader's
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        if pass_on():
            return
        if number == signal.SIGINT:
            signal.default_int_handler(number, frame)
        for each in handlers:
            if each != signal.SIGINT:
                signal.signal(each, signal.SIG_DFL)
        stop, said = Terminated(number), words()
        if said is not None:
            os.write(2, f"stopped by {stop.signal}{said}\n".encode())
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
    """Makes Ctrl-C a KeyboardInterrupt, as Python's callers and notebooks expect; its message says what to do next.

    Lightning 2.6 makes SystemExit of it, with the exit code 1, and ignores SIGINT from then on. `Terminated`, which
    passes through Lightning, becomes one too if it is of SIGINT.

    Args:
        words: What stands behind ``stopped by SIGINT``; None makes the message empty.
    """
    before = signal.getsignal(signal.SIGINT) if signal.SIGINT in heard() else None
    try:
        yield
    except (KeyboardInterrupt, SystemExit) as end:
        by_hand = isinstance(end, KeyboardInterrupt) or isinstance(end.__context__, KeyboardInterrupt)
        if not by_hand and getattr(end, "signal", None) != "SIGINT":
            raise
        said = getattr(end, "words", None) or words()
        raise KeyboardInterrupt("" if said is None else f"stopped by SIGINT{said}") from None
    finally:
        if before is not None:
            signal.signal(signal.SIGINT, before)
