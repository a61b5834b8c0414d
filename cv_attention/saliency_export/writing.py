"""Writes shards in the background: pictures, then maps, then the manifest's rows."""

import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from cv_attention.config import SaliencyExport
from cv_attention.exporting.batches import Batch, Sample
from cv_attention.exporting.names import file_stem
from cv_attention.exporting.shards import write_shard
from cv_attention.exporting.sources import Item
from cv_attention.rundir.layout import ExportLayout
from cv_attention.saliency_export.maps import Column
from cv_attention.saliency_export.pictures import picture_paths, write_pictures
from cv_attention.saliency_export.rows import Fields, failed_row, map_fields
from cv_attention.saliency_export.shards import encode_maps, to_half

_MOST_WAITING = 64  # images queued for writing; bounds memory when the disk is slower than the network


class ShardWriter:
    """Writes shards in order, and stops at the first disk error.

    Args:
        out: Folder of the export.
        config: The file formats.
        items: All images.
        columns: Kinds of maps.
        fields: Makes the fields of a prediction.
        requests: What each shard is made from, from `shard_requests`.

    Attributes:
        stopped: Set when nothing more can be written.
        error: The reason.
    """

    def __init__(
        self,
        out: Path,
        config: SaliencyExport,
        items: list[Item],
        columns: list[Column],
        fields: Fields,
        requests: Sequence[str],
    ) -> None:
        self.out, self.config, self.items, self.columns, self.fields = out, config, items, columns, fields
        self.requests = requests
        self.stopped, self.error = threading.Event(), ""
        self._rows: list[dict[str, Any]] = []
        self._arrays: dict[str, list[np.ndarray]] = {column.key: [] for column in columns}
        self._pictures: deque[Future[dict[Path, str]]] = deque()
        self._sums: dict[Path, str] = {}  # of the pictures written for this shard
        self._end: Future[None] | None = None

    def open(self) -> None:
        """Starts the threads; call it in the writing process."""
        self._draw = ThreadPoolExecutor(self.config.workers, "draw")
        self._finish = ThreadPoolExecutor(1, "shard")

    def close(self) -> None:
        """Waits until everything is written."""
        try:
            if self._end is not None:
                self._end.result()
        finally:
            self._finish.shutdown()
            self._draw.shutdown(cancel_futures=True)

    def add(
        self,
        batch: Batch,
        maps: dict[str, np.ndarray],
        logits: np.ndarray,
        targets: list[int],
        more: list[dict[str, Any]],
    ) -> None:
        """Queues the results of a batch, with more fields of each row; finishes the shard if the batch is its last."""
        if self.stopped.is_set():
            return
        shard = batch.part.shard
        try:
            if batch.part.numbers.start == shard * self.config.shard_size:
                self._make_folders(shard)
        except OSError as error:
            self._stop(error)
            return
        rows = {number: failed_row(number, self.items[number], error) for number, error in batch.errors.items()}
        half = {key: to_half(values) for key, values in maps.items()}
        for place, sample in enumerate(batch.samples):
            own = {key: values[place] for key, values in maps.items()}
            scales = {key: stored[1][place] for key, stored in half.items()}
            prediction = {**self.fields(logits[place], targets[place]), **more[place]}
            rows[sample.number] = self._add_image(shard, self._filled() + place, sample, prediction, own, scales)
        for key, (values, _) in half.items():
            self._arrays[key].append(values)
        self._rows += [rows[number] for number in batch.part.numbers]
        self._wait(_MOST_WAITING)
        if batch.part.last:
            self._end_shard(shard)

    def _add_image(
        self,
        shard: int,
        row: int,
        sample: Sample,
        prediction: dict[str, Any],
        maps: dict[str, np.ndarray],
        scales: dict[str, float],
    ) -> dict[str, Any]:
        """Passes an image's pictures to a thread; returns its row of the manifest."""
        item = self.items[sample.number]
        stem, stored = file_stem(sample.number, item.path), self.config.maps != "none"
        drawn = {c.key: maps[c.key] for c in self.columns if c.drawn}
        paths = picture_paths(self.config, shard, stem, list(drawn))
        if paths:
            self._pictures.append(self._draw.submit(write_pictures, self.out, paths, sample, item, drawn, self.config))
        return {
            **{"index": sample.number, "image": item.title, "error": None, "name": stem},
            **{"width": sample.width, "height": sample.height, "label": item.label, "box": sample.box},
            **prediction,
            "shard": ExportLayout(Path()).shard(shard, self.config.maps).as_posix() if stored else None,
            "row": row if stored else None,
            "input": paths.get("input"),
            "panel": paths.get("panel"),
            "maps": [map_fields(c, maps[c.key], scales[c.key], paths.get(f"overlay {c.key}")) for c in self.columns],
        }

    def _filled(self) -> int:
        return sum(map(len, self._arrays[self.columns[0].key]))

    def _make_folders(self, shard: int) -> None:
        kinds = {"inputs": self.config.inputs, "overlays": self.config.overlays, "panels": self.config.panels}
        for folder in [f"{name}/{shard:06d}" for name, kind in kinds.items() if kind != "none"]:
            (self.out / folder).mkdir(parents=True, exist_ok=True)

    def _wait(self, most: int) -> None:
        try:
            while len(self._pictures) > most:
                self._sums |= self._pictures.popleft().result()
            if self._end is not None and self._end.done():
                self._end.result()
        except OSError as error:
            self._stop(error)

    def _end_shard(self, shard: int) -> None:
        """Passes the shard to its own thread, which waits for the pictures: rows mark a shard as complete."""
        rows, arrays, pictures, drawn = self._rows, self._arrays, list(self._pictures), self._sums
        self._rows, self._arrays, self._sums = [], {column.key: [] for column in self.columns}, {}
        self._pictures.clear()

        def write() -> None:
            if self.stopped.is_set():
                return
            try:
                for picture in pictures:
                    drawn.update(picture.result())
                encoded = {}
                if self.config.maps != "none" and arrays[self.columns[0].key]:
                    whole = {key: np.concatenate(parts) for key, parts in arrays.items()}
                    encoded = {self.config.maps: encode_maps(whole, self.config.maps)}
                write_shard(self.out, shard, rows, self.requests[shard], drawn, encoded)
            except OSError as error:
                self._stop(error)

        if self._end is not None:
            self._end.result()  # at most one shard is being written while the next is computed
        self._end = self._finish.submit(write)

    def _stop(self, error: OSError) -> None:
        self.error = self.error or " ".join(str(error).split())
        self.stopped.set()
