"""Writes shards of classes: pictures in the background, then the rows, which mark a shard as complete."""

import hashlib
import json
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from cv_attention.config import RecallExport
from cv_attention.exporting.batches import Batch, Sample
from cv_attention.exporting.encoding import encode
from cv_attention.exporting.names import file_stem
from cv_attention.exporting.sources import Item
from cv_attention.exporting.verification import rows_path
from cv_attention.heads import Recollection
from cv_attention.recall_export.pictures import Reason, because
from cv_attention.recall_export.support import Support, thumbnail
from cv_attention.rundir.checksums import listing
from cv_attention.rundir.files import write_bytes

_MOST_WAITING = 64  # images queued for drawing; bounds memory when the disk is slower than the network
_FIELDS = (
    *("index", "image", "error", "name", "width", "height", "class", "confidence", "probabilities"),
    *("because", "picture"),
)


class RecallWriter:
    """Writes shards in order, and stops at the first disk error.

    Args:
        out: Folder of the export.
        config: The format of pictures, and how many labelled images they show.
        items: All images.
        support: The labelled images.
        requests: What each shard is made from, from `shard_requests`.

    Attributes:
        stopped: Set when nothing more can be written.
        error: The reason.
    """

    def __init__(
        self, out: Path, config: RecallExport, items: list[Item], support: Support, requests: Sequence[str]
    ) -> None:
        self.out, self.config, self.items, self.support, self.requests = out, config, items, support, requests
        self.stopped, self.error = threading.Event(), ""
        self._rows: list[dict[str, Any]] = []
        self._pictures: deque[Future[tuple[Path, str]]] = deque()
        self._sums: dict[Path, str] = {}  # of the pictures written for this shard

    def open(self) -> None:
        """Starts the threads; call it in the writing process."""
        self._draw = ThreadPoolExecutor(self.config.workers, "draw")

    def close(self) -> None:
        """Ends the threads."""
        self._draw.shutdown(cancel_futures=True)

    def add(self, batch: Batch, found: Recollection | None) -> None:
        """Queues the pictures of a batch; writes the shard if the batch is its last."""
        if self.stopped.is_set():
            return
        shard = batch.part.shard
        try:
            if self.config.pictures != "none":
                (self.out / "because" / f"{shard:06d}").mkdir(parents=True, exist_ok=True)
            rows = {number: self._failed(number, error) for number, error in batch.errors.items()}
            if found is not None:
                reasons = found.because(self.config.nearest)
                for place, sample in enumerate(batch.samples):
                    rows[sample.number] = self._add_image(shard, sample, found, place, reasons[place])
            self._rows += [rows[number] for number in batch.part.numbers]
            self._wait(_MOST_WAITING)
            if batch.part.last:
                self._end_shard(shard)
        except OSError as error:
            self.error = self.error or " ".join(str(error).split())
            self.stopped.set()

    def _failed(self, number: int, error: str) -> dict[str, Any]:
        return {**dict.fromkeys(_FIELDS), "index": number, "image": self.items[number].title, "error": error}

    def _add_image(
        self, shard: int, sample: Sample, found: Recollection, place: int, reasons: Sequence[tuple[int, float]]
    ) -> dict[str, Any]:
        """Passes an image's picture to a thread; returns its row."""
        item = self.items[sample.number]
        stem, label = file_stem(sample.number, item.path), str(found.labels[place])
        confidence = float(found.confidences[place])
        path = None
        if self.config.pictures != "none":
            path = f"because/{shard:06d}/{stem}.{self.config.pictures}"
            drawn = (self.out / path, sample.pixels, label, confidence, [self._reason(*each) for each in reasons])
            self._pictures.append(self._draw.submit(_draw, *drawn))
        memory = self.support.memory
        return {
            **{"index": sample.number, "image": item.title, "error": None, "name": stem},
            **{"width": sample.width, "height": sample.height, "class": label, "confidence": _short(confidence)},
            "probabilities": [_short(value) for value in found.probabilities[place].tolist()],
            "because": [
                {
                    "image": memory.names[index],
                    "class": str(memory.labels[index]),
                    "weight": _short(weight),
                    "similarity": _short(float(found.similarities[place, index])),
                }
                for index, weight in reasons
            ],
            "picture": path,
        }

    def _reason(self, index: int, weight: float) -> Reason:
        memory, support = self.support.memory, self.support
        name = memory.names[index].replace("\\", "/").rpartition("/")[2]
        return Reason(support.thumbnails[index], str(memory.labels[index]), weight, name)

    def _wait(self, most: int) -> None:
        while len(self._pictures) > most:
            path, digest = self._pictures.popleft().result()
            self._sums[path] = digest

    def _end_shard(self, shard: int) -> None:
        self._wait(0)
        rows, drawn, self._rows, self._sums = self._rows, self._sums, [], {}
        last = rows_path(self.out, shard)
        files = {last: "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows).encode()}
        files[last.with_suffix(".request")] = self.requests[shard].encode()
        sums = {path: hashlib.sha256(content).hexdigest() for path, content in files.items()}
        files[last.with_suffix(".sha256")] = listing(last.parent, sums | drawn).encode()
        for path, content in reversed(files.items()):
            write_bytes(path, content)


def _draw(path: Path, pixels: np.ndarray, label: str, confidence: float, reasons: list[Reason]) -> tuple[Path, str]:
    content = encode(because(thumbnail(pixels), label, confidence, reasons), path.suffix[1:])
    path.write_bytes(content)
    return path, hashlib.sha256(content).hexdigest()


def _short(value: float) -> float:
    return float(f"{value:.7g}")
