"""Time and memory of calls, measured in turns."""

import ctypes
from collections.abc import Callable
from time import perf_counter, process_time

import torch

Call = Callable[[], object]


class Clock:
    """Measures calls on one device.

    On one thread of a CPU it takes the processor time of the process, which neighbours disturb less than the time on
    the wall.
    """

    def __init__(self, device: str = "cpu", threads: int = 1) -> None:
        self.device = device
        self.now = process_time if device == "cpu" and threads == 1 else perf_counter

    def __call__(self, function: Call) -> float:
        """Returns the seconds that `function` takes."""
        self._wait()
        start = self.now()
        function()
        self._wait()
        return self.now() - start

    def in_turns(self, functions: list[Call], rounds: int, warm_up: int = 1) -> list[list[float]]:
        """Times `functions` `rounds` times, every second round backwards; rounds of warming up are not counted."""
        times: list[list[float]] = [[] for _ in functions]
        for turn in range(rounds + warm_up):
            order = range(len(functions)) if turn % 2 else reversed(range(len(functions)))
            for index in order:
                seconds = self(functions[index])
                if turn >= warm_up:
                    times[index].append(seconds)
        return times

    def peak(self, function: Call) -> int:
        """Returns the largest number of bytes that tensors take in `function` beyond what was there before."""
        if self.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
            function()
            return torch.cuda.max_memory_allocated() - before
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
            function()
        now = most = 0
        for event in profile.profiler.kineto_results.events():  # pyright: ignore[reportOptionalMemberAccess]
            if event.name() == "[memory]":
                now += event.nbytes()
                most = max(most, now)
        return most

    def _wait(self) -> None:
        if self.device == "cuda":
            torch.cuda.synchronize()


def keep_freed_memory() -> None:
    """Makes glibc reuse memory instead of giving it back to the system.

    It gives large blocks back at once, or not, by what was freed before; the faults on fresh pages, in the first case,
    take several times as long as the work itself and double or halve the ratio of two equal blocks.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(-4, 0)  # M_MMAP_MAX
        libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD
