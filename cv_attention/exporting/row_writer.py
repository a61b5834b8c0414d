"""Writes shards of rows: the pictures of an image in the background, then the rows."""

import threading
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

from cv_attention.exporting.batches import Batch
from cv_attention.exporting.shards import write_shard
from cv_attention.exporting.sources import Item

_MOST_WAITING = 64  # images queued for drawing; bounds memory when the disk is slower than the network


class Settings(Protocol):
    """What a configuration says of writing."""

    @property
    def workers(self) -> int:
        """Threads that draw."""
        ...


class RowWriter:
    """Writes shards in order, and stops at the first disk error.

    Args:
        out: Folder of the export.
        config: Number of threads.
        items: All images.
        requests: What each shard is made from, from `shard_requests`.

    Attributes:
        fields: Names of the values of a row; a failed image has none but its number, name and error.
        stopped: Set when nothing more can be written.
        error: The reason.
    """

    fields: Sequence[str] = ()

    def __init__(self, out: Path, config: Settings, items: list[Item], requests: Sequence[str]) -> None:
        self.out, self.items, self.requests = out, items, requests
        self.stopped, self.error = threading.Event(), ""
        self._threads = config.workers
        self._rows: list[dict[str, Any]] = []
        self._pictures: deque[Future[dict[Path, str]]] = deque()
        self._sums: dict[Path, str] = {}  # of the pictures written for this shard

    def open(self) -> None:
        """Starts the threads; call it in the writing process."""
        self.draw = ThreadPoolExecutor(self._threads, "draw")

    def close(self) -> None:
        """Ends the threads."""
        self.draw.shutdown(cancel_futures=True)

    def picture_folders(self) -> Iterable[str]:
        """Returns the folders of pictures, each with a folder for every shard."""
        raise NotImplementedError(f"{type(self).__name__} must implement picture_folders()")

    def rows(self, batch: Batch, found: Any) -> dict[int, dict[str, Any]]:
        """Returns the rows of a batch's images by their numbers, and passes their pictures to `drawing`.

        Args:
            batch: The images.
            found: What the network says of them.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement rows()")

    def drawing(self, pictures: Future[dict[Path, str]]) -> None:
        """Takes pictures of the present shard that a thread draws; it returns their SHA-256 by path."""
        self._pictures.append(pictures)

    def add(self, batch: Batch, found: Any) -> None:
        """Queues the pictures of a batch; writes the shard if the batch is its last.

        Args:
            batch: The images.
            found: What the network says of them; None if it has seen none of them.
        """
        if self.stopped.is_set():
            return
        shard = batch.part.shard
        try:
            for folder in self.picture_folders():
                (self.out / folder / f"{shard:06d}").mkdir(parents=True, exist_ok=True)
            rows = {number: self._failed(number, error) for number, error in batch.errors.items()}
            if found is not None:
                rows |= self.rows(batch, found)
            self._rows += [rows[number] for number in batch.part.numbers]
            self._wait(_MOST_WAITING)
            if batch.part.last:
                self._end_shard(shard)
        except OSError as error:
            self.error = self.error or " ".join(str(error).split())
            self.stopped.set()

    def _failed(self, number: int, error: str) -> dict[str, Any]:
        return {**dict.fromkeys(self.fields), "index": number, "image": self.items[number].title, "error": error}

    def _wait(self, most: int) -> None:
        while len(self._pictures) > most:
            self._sums |= self._pictures.popleft().result()

    def _end_shard(self, shard: int) -> None:
        self._wait(0)
        rows, drawn, self._rows, self._sums = self._rows, self._sums, [], {}
        write_shard(self.out, shard, rows, self.requests[shard], drawn)
