"""Writes shards of readings: pictures in the background, then the rows, which mark a shard as complete."""

import hashlib
import json
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from cv_attention.alignment import error_rate
from cv_attention.config import ReadingExport
from cv_attention.exporting.batches import Batch, Sample
from cv_attention.exporting.names import file_stem
from cv_attention.exporting.sources import Item
from cv_attention.exporting.verification import rows_path
from cv_attention.heads import Reading
from cv_attention.reading_export.pictures import Found, picture_paths, write_pictures
from cv_attention.rundir.checksums import listing
from cv_attention.rundir.files import write_bytes

_MOST_WAITING = 64  # images queued for drawing; bounds memory when the disk is slower than the network
_FIELDS = (
    *("index", "image", "error", "name", "width", "height", "text", "confidence", "units", "confidences"),
    *("truth", "cer", "alignment", "crops"),
)


class ReadingWriter:
    """Writes shards in order, and stops at the first disk error.

    Args:
        out: Folder of the export.
        config: The formats of pictures.
        items: All images.
        truths: The true text of each image by its number, where it is known.
        requests: What each shard is made from, from `shard_requests`.

    Attributes:
        stopped: Set when nothing more can be written.
        error: The reason.
    """

    def __init__(
        self,
        out: Path,
        config: ReadingExport,
        items: list[Item],
        truths: Mapping[int, str],
        requests: Sequence[str],
    ) -> None:
        self.out, self.config, self.items, self.truths, self.requests = out, config, items, truths, requests
        self.stopped, self.error = threading.Event(), ""
        self._rows: list[dict[str, Any]] = []
        self._pictures: deque[Future[dict[Path, str]]] = deque()
        self._sums: dict[Path, str] = {}  # of the pictures written for this shard

    def open(self) -> None:
        """Starts the threads; call it in the writing process."""
        self._draw = ThreadPoolExecutor(self.config.workers, "draw")

    def close(self) -> None:
        """Ends the threads."""
        self._draw.shutdown(cancel_futures=True)

    def add(self, batch: Batch, found: Sequence[Found]) -> None:
        """Queues the pictures of a batch; writes the shard if the batch is its last."""
        if self.stopped.is_set():
            return
        shard = batch.part.shard
        try:
            for kind in ("alignments", "crops"):
                if getattr(self.config, kind) != "none":
                    (self.out / kind / f"{shard:06d}").mkdir(parents=True, exist_ok=True)
            rows = {number: self._failed(number, error) for number, error in batch.errors.items()}
            for sample, one in zip(batch.samples, found, strict=True):
                rows[sample.number] = self._add_image(shard, sample, one)
            self._rows += [rows[number] for number in batch.part.numbers]
            self._wait(_MOST_WAITING)
            if batch.part.last:
                self._end_shard(shard)
        except OSError as error:
            self.error = self.error or " ".join(str(error).split())
            self.stopped.set()

    def _failed(self, number: int, error: str) -> dict[str, Any]:
        return {**dict.fromkeys(_FIELDS), "index": number, "image": self.items[number].title, "error": error}

    def _add_image(self, shard: int, sample: Sample, found: Found) -> dict[str, Any]:
        """Passes an image's pictures to a thread; returns its row."""
        item, reading = self.items[sample.number], found.reading
        stem, truth = file_stem(sample.number, item.path), self.truths.get(sample.number)
        paths = picture_paths(self.config, shard, stem, len(reading.units)) if found.heats is not None else {}
        if paths:
            drawn = (self.out, paths, sample.pixels, sample.columns, found)
            self._pictures.append(self._draw.submit(write_pictures, *drawn))
        return {
            **{"index": sample.number, "image": item.title, "error": None, "name": stem},
            **{"width": sample.width, "height": sample.height},
            **text_fields(reading, truth),
            "alignment": paths.get("alignment"),
            "crops": [path for what, path in paths.items() if what.startswith("crop")],
        }

    def _wait(self, most: int) -> None:
        while len(self._pictures) > most:
            self._sums |= self._pictures.popleft().result()

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


def text_fields(reading: Reading, truth: str | None) -> dict[str, Any]:
    """Returns what a row says of a reading and of its truth, where that is known."""
    return {
        "text": reading.text,
        "confidence": float(f"{reading.confidence:.7g}"),
        "units": list(reading.units),
        "confidences": [float(f"{value:.7g}") for value in reading.confidences],
        "truth": truth,
        "cer": None if truth is None else float(f"{error_rate(reading.text, truth):.7g}"),
    }
