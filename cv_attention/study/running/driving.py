"""Trains what is missing of a study, block by block, and stops without losing anything."""

import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from cv_attention.study.design.trials import Trial, blocks, forget_failure, record_failure, set_aside, state
from cv_attention.study.record import StudyFolder
from cv_attention.study.running.engine import Ended, Engine
from cv_attention.study.running.worker import AGAIN, BUSY, FULL, STOPPED

ATTEMPTS = 3  # of a trial whose process is lost
_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGXCPU")
Say = Callable[[str], None]


class Stopped(Exception):
    """Signals that a study was stopped by a signal, once all of its processes have ended.

    Args:
        number: The signal.

    Attributes:
        number: The signal.

    Examples:
        >>> from cv_attention.study import Stopped
        >>> str(Stopped(15))
        'stopped by SIGTERM'
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.number = number


class DiskFull(Exception):
    """Signals that a trial could not be written; nothing else is started."""


@dataclass
class Rules:
    """Decides, before a block begins, whether the study ends there.

    Attributes:
        enough: Whether the blocks that are complete suffice, given their number; None trains all.
        budget: Seconds for this call; no block begins that is not expected to end within them. None has no limit.
        expected: Returns the expected seconds of trials together; 0 where nothing is known.
    """

    enough: Callable[[int], bool] | None = None
    budget: float | None = None
    expected: Callable[[Sequence[Trial]], float] = field(default=lambda trials: 0.0)


class Driver:
    """Trains trials in order with one engine.

    Args:
        folder: The study's folder.
        engine: Where trials are trained.
        say: Prints a line.
        retry: Whether trials that have failed are trained again.
        check: Is called with the first trial that finishes; what it raises ends the study.

    Attributes:
        lost: Name of a trial -> how often its process was lost in this call.
    """

    def __init__(
        self,
        folder: StudyFolder,
        engine: Engine,
        say: Say,
        *,
        retry: bool = False,
        check: Callable[[Trial], None] | None = None,
    ) -> None:
        self.folder, self.engine, self.say, self.retry, self._check = folder, engine, say, retry, check
        self.lost: Counter[str] = Counter()
        self._signal = 0
        self._full = False
        self._since = time.monotonic()
        self._done = self._total = 0

    def drive(self, trials: Sequence[Trial], seeds: Sequence[int], rules: Rules) -> tuple[int, str]:
        """Trains what is missing, seed by seed.

        Args:
            trials: All trials; what is finished or has failed is left alone.
            seeds: The seeds, in their order.
            rules: When to end before all are trained.

        Returns:
            How many blocks are complete, from the first on without a gap, and why the others are not trained: an empty
            text where all are, ``enough`` or ``budget``.

        Raises:
            Stopped: after Ctrl-C, SIGTERM and the like.
            DiskFull: if a trial could not be written.
        """
        waiting: deque[Trial] = deque()
        ordered, why = blocks(trials, seeds), ""
        missing = [[trial for trial in block if self._is_missing(trial)] for block in ordered]
        self._done, self._total = 0, sum(map(len, missing))
        with self._listening():
            for number, block in enumerate(missing):
                if rules.enough is not None:
                    self._work_off(waiting, 0)  # it looks at complete blocks alone
                    if number and rules.enough(number):
                        why = "enough"
                        break
                if block and self._over_budget([*waiting, *block], rules):
                    why = "budget"
                    break
                waiting.extend(block)
                self._work_off(waiting, self.engine.workers)
            self._work_off(waiting, 0)
        complete = next((n for n, block in enumerate(ordered) if any(map(self._is_open, block))), len(ordered))
        return complete, why

    def _is_missing(self, trial: Trial) -> bool:
        """Returns whether a trial is to be trained; a damaged one is set aside first."""
        run = self.folder.run(trial.name)
        found, reason = state(run, trial.experiment, trial.at_test)
        if found == "damaged":
            self.say(f"{trial}: {reason}; its directory is kept as {set_aside(run).name}, and it is trained again")
        if found == "failed" and self.retry:
            forget_failure(run)
            return True
        return found not in ("finished", "failed")

    def _is_open(self, trial: Trial) -> bool:
        return state(self.folder.run(trial.name), at_test=trial.at_test)[0] not in ("finished", "failed")

    def _over_budget(self, trials: Sequence[Trial], rules: Rules) -> bool:
        if rules.budget is None:
            return False
        left = rules.expected([*trials, *self.engine.running])
        return time.monotonic() - self._since + left / self.engine.workers > rules.budget

    def _work_off(self, waiting: deque[Trial], leave: int) -> None:
        """Trains until at most `leave` trials wait; 0 also waits for those that are being trained."""
        while len(waiting) > leave or (leave == 0 and self.engine.running):
            while waiting and self.engine.free > 0 and not self._ending:
                trial = waiting.popleft()
                self.engine.start(trial, self.folder.log(trial.name))
                if self._ending:  # the signal came while it was started
                    self.engine.stop()
            for ended in self.engine.ended(1.0):
                self._take(ended, waiting)
            if self._ending and not self.engine.running:
                break
        if self._full:
            raise DiskFull(f"no space left for {self.folder.trials}; free some and run the same command again")
        if self._signal:
            raise Stopped(self._signal)

    @property
    def _ending(self) -> bool:
        return bool(self._signal or self._full)

    def _take(self, ended: Ended, waiting: deque[Trial]) -> None:
        """Records how a trial has ended; one whose process was lost waits again, up to a number of times."""
        trial, run = ended.trial, self.folder.run(ended.trial.name)
        found, reason = state(run, at_test=trial.at_test)
        if found in ("finished", "failed"):
            self._done += 1
            how = f"failed: {reason}" if found == "failed" else f"trained, {ended.seconds:.1f} s"
            self.say(f"[{self._done}/{self._total}] {trial}: {how}")
            if found == "finished" and self._check is not None:
                check, self._check = self._check, None
                check(trial)
            return
        if self._ending:
            return
        if ended.code == FULL:
            self._full = True
            self.engine.stop()
            return
        if ended.code == BUSY:  # it will end, or finish the trial itself
            self.say(f"{trial}: another process holds its run directory; it waits")
            waiting.append(trial)
            return
        self.lost[trial.name] += 1
        what = _words(ended.code)
        if self.lost[trial.name] < ATTEMPTS:
            self.say(f"{trial}: {what}; it is {'trained again' if ended.code == AGAIN else 'resumed'}")
            waiting.append(trial)
            return
        self._done += 1
        record_failure(run, trial.experiment, f"{what}, {ATTEMPTS} times (see {self.folder.log(trial.name).name})")
        self.say(f"[{self._done}/{self._total}] {trial}: failed: {what}, {ATTEMPTS} times")

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """Passes the first signal on to all processes; the second ends them at once. They end with this in any case."""
        before: dict[int, Any] = {}
        if threading.current_thread() is threading.main_thread():
            for number in (getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)):
                if signal.getsignal(number) is not signal.SIG_IGN:
                    before[number] = signal.signal(number, self._hear)
        try:
            yield
        except BaseException:
            if not self._signal:
                self.engine.stop()
            self._wait_for_all()
            raise
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _wait_for_all(self) -> None:
        while self.engine.running:
            self.engine.ended(1.0)

    def _hear(self, number: int, _: Any) -> None:
        if self._signal:
            self.engine.kill()
            return
        self._signal = number
        self.engine.stop()


def _words(code: int) -> str:
    if code == AGAIN:
        return "its run directory could not be resumed"
    if code == STOPPED:
        return "its process was stopped"
    if code < 0:
        return f"its process was killed by {signal.Signals(-code).name}"
    return f"its process ended with exit code {code}"
