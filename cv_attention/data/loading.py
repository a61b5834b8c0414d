"""Provides a DataLoader that starts lazily and can resume in the middle of an epoch."""

import os
import signal
import threading
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from multiprocessing.util import Finalize
from typing import Any
from weakref import WeakSet

import cv2
import torch
from torch.utils.data import DataLoader
from torch.utils.data._utils import signal_handling

from cv_attention.data.selection.sampling import EvaluationBatches, TrainBatches

_STARTED: dict[int, WeakSet[Any]] = defaultdict(WeakSet)  # torch's iterators with worker processes, by process
_WORKERS: dict[int, list[Any]] = defaultdict(list)  # their processes, which can outlive an iterator


class Loader(DataLoader):
    """Loads the batches of a split.

    Lightning creates a loader's iterator before it sets the epoch of a resumed run, and torch's worker
    processes then start to load the wrong epoch's images (pytorch-lightning #21938). Here nothing is loaded
    before the first batch is requested.

    Lightning saves `state_dict()` in its checkpoints: a run resumed in the middle of an epoch continues with
    the remaining batches.

    Args:
        images: The split, such as an `ImageSet`; see `Split`.
        batches: Its sampler.
        workers: Number of loader processes; 0 loads in this process.
        device: Training device. Images in memory are copied there once and augmented there in whole batches;
            workers and page-locked memory are for images that are read from files.
    """

    def __init__(
        self,
        images: Any,
        batches: TrainBatches | EvaluationBatches,
        *,
        workers: int = 0,
        device: torch.device | str = "cpu",
    ):
        self._device = torch.device(device)
        workers = 0 if images.resident else workers
        super().__init__(
            images,
            batch_sampler=batches,
            collate_fn=_as_it_is,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=self._device.type == "cuda" and not images.resident,  # only copies to a GPU benefit
            worker_init_fn=_start_worker,
            # The workers' seeds, which nothing uses: drawn from the global generator, they would change what the
            # network draws after a resume in the middle of an epoch.
            generator=torch.Generator().manual_seed(0),
        )
        self._batches = batches
        self._position = {"epoch": 0, "batches": 0}
        self._resume: dict[str, int] | None = None

    def __iter__(self) -> Iterator[dict[str, Any]]:  # pyright: ignore[reportIncompatibleMethodOverride]
        batches = self._batches
        if isinstance(batches, EvaluationBatches):
            yield from self._loaded()
            return
        resume, self._resume = self._resume, None
        # A state saved at the end of an epoch belongs to a finished epoch.
        inside = resume is not None and resume["epoch"] == batches.epoch and resume["batches"] < len(batches)
        batches.start = resume["batches"] if resume is not None and inside else 0
        for number, batch in enumerate(self._loaded(), batches.start + 1):
            self._position = {"epoch": batches.epoch, "batches": number}
            yield batch

    def _loaded(self) -> Iterator[dict[str, Any]]:
        images: Any = self.dataset
        if images.resident:
            yield from (images.batch(draws, self._device) for draws in self._batches)
            return
        try:
            loaded = super().__iter__()
            if self.num_workers:
                _remember(loaded)
            yield from loaded
        except Exception as error:
            self.close()  # the workers would be waited for when they are collected
            lines = str(error).splitlines()
            worded = isinstance(error, ValueError | FileNotFoundError)
            if not worded or not lines or "in DataLoader worker" not in lines[0]:
                raise
            # The worker's traceback is kept as the cause; the message is its last line, as without workers.
            raise type(error)(lines[-1].partition(": ")[2]) from error

    def close(self) -> None:
        """Ends the worker processes; the next batches start new ones."""
        loaded: Any = self._iterator
        self._iterator = None
        if loaded is None or loaded not in _STARTED[os.getpid()]:
            return
        workers = loaded._workers
        loaded._shutdown_workers()
        if loaded._worker_pids_set:  # an earlier call was interrupted by a signal
            signal_handling._remove_worker_pids(id(loaded))
            loaded._worker_pids_set = False
        for worker in workers:
            if worker.is_alive():  # in the middle of a large image
                worker.kill()
                worker.join()

    def state_dict(self) -> dict[str, int]:
        """Returns the epoch and the number of batches loaded, as plain numbers."""
        return dict(self._position)

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continues after the batches counted in `state`, if the next epoch is the one it was saved in."""
        self._position = dict(state)
        self._resume = dict(state)


def _as_it_is(batch: Any) -> Any:
    return batch


def _start_worker(_: int) -> None:
    cv2.setNumThreads(0)
    # A signal to all processes of a job is handled by the training process: it needs batches until it has saved.
    for number in (signal.SIGTERM, signal.SIGINT):  # Ctrl-C is sent to all processes of a terminal
        signal.signal(number, signal.SIG_IGN)


def _remember(loaded: Any) -> None:
    """Keeps what `close` and the end of this process need to know of an iterator with workers."""
    process = os.getpid()
    _STARTED[process].add(loaded)
    known = [worker for worker in _WORKERS[process] if worker.is_alive()]
    _WORKERS[process] = [*known, *(worker for worker in loaded._workers if worker not in known)]
    _kill_workers_at_exit(process)


@cache
def _kill_workers_at_exit(process: int) -> None:
    """Makes this process kill its workers before Python waits for them: they ignore the SIGTERM that Python sends."""
    Finalize(None, _kill_workers, args=(process,), exitpriority=100)


def _kill_workers(process: int) -> None:
    if threading.current_thread() is threading.main_thread() and hasattr(signal, "SIGCHLD"):
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # torch treats a killed worker as an error
    for worker in _WORKERS[process]:
        if worker.is_alive():
            worker.kill()
