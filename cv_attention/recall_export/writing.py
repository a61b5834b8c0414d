"""Makes the rows of images that were named, and draws their pictures in the background."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cv_attention.config import RecallExport
from cv_attention.exporting.batches import Batch, Sample
from cv_attention.exporting.encoding import encode
from cv_attention.exporting.names import file_stem
from cv_attention.exporting.row_writer import RowWriter
from cv_attention.exporting.sources import Item
from cv_attention.heads import Recollection
from cv_attention.recall_export.pictures import Reason, because
from cv_attention.recall_export.support import Support, thumbnail


class RecallWriter(RowWriter):
    """Writes shards of classes.

    Args:
        out: Folder of the export.
        config: The format of pictures, and how many labelled images they show.
        items: All images.
        support: The labelled images.
        requests: What each shard is made from, from `shard_requests`.
    """

    fields = (
        *("index", "image", "error", "name", "width", "height", "class", "confidence", "probabilities"),
        *("because", "picture"),
    )

    def __init__(
        self, out: Path, config: RecallExport, items: list[Item], support: Support, requests: Sequence[str]
    ) -> None:
        super().__init__(out, config, items, requests)
        self.config, self.support = config, support

    def picture_folders(self) -> Iterable[str]:
        """Returns the folder of pictures, if any are written."""
        return ["because"] if self.config.pictures != "none" else []

    def rows(self, batch: Batch, found: Recollection) -> dict[int, dict[str, Any]]:
        """Returns the rows of images that were named, by their numbers."""
        shard, reasons = batch.part.shard, found.because(self.config.nearest)
        return {
            sample.number: self._row(shard, sample, found, place, reasons[place])
            for place, sample in enumerate(batch.samples)
        }

    def _row(
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
            self.drawing(self.draw.submit(_draw, *drawn))
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


def _draw(path: Path, pixels: np.ndarray, label: str, confidence: float, reasons: list[Reason]) -> dict[Path, str]:
    content = encode(because(thumbnail(pixels), label, confidence, reasons), path.suffix[1:])
    path.write_bytes(content)
    return {path: hashlib.sha256(content).hexdigest()}


def _short(value: float) -> float:
    return float(f"{value:.7g}")
