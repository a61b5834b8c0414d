"""Makes the rows of images that were read, and draws their pictures in the background."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cv_attention.alignment import error_rate
from cv_attention.config import ReadingExport
from cv_attention.exporting.batches import Batch, Sample
from cv_attention.exporting.names import file_stem
from cv_attention.exporting.row_writer import RowWriter
from cv_attention.exporting.sources import Item
from cv_attention.heads import Reading
from cv_attention.reading_export.pictures import Found, picture_paths, write_pictures


class ReadingWriter(RowWriter):
    """Writes shards of readings.

    Args:
        out: Folder of the export.
        config: The formats of pictures.
        items: All images.
        truths: The true text of each image by its number, where it is known.
        requests: What each shard is made from, from `shard_requests`.
    """

    fields = (
        *("index", "image", "error", "name", "width", "height", "text", "confidence", "units", "confidences"),
        *("truth", "cer", "alignment", "crops"),
    )

    def __init__(
        self,
        out: Path,
        config: ReadingExport,
        items: list[Item],
        truths: Mapping[int, str],
        requests: Sequence[str],
    ) -> None:
        super().__init__(out, config, items, requests)
        self.config, self.truths = config, truths

    def picture_folders(self) -> Iterable[str]:
        """Returns the folders of the kinds of pictures that are written."""
        return [kind for kind in ("alignments", "crops") if getattr(self.config, kind) != "none"]

    def rows(self, batch: Batch, found: Sequence[Found]) -> dict[int, dict[str, Any]]:
        """Returns the rows of images that were read, by their numbers."""
        shard = batch.part.shard
        return {sample.number: self._row(shard, sample, one) for sample, one in zip(batch.samples, found, strict=True)}

    def _row(self, shard: int, sample: Sample, found: Found) -> dict[str, Any]:
        """Passes an image's pictures to a thread; returns its row."""
        item, reading = self.items[sample.number], found.reading
        stem, truth = file_stem(sample.number, item.path), self.truths.get(sample.number)
        paths = picture_paths(self.config, shard, stem, len(reading.units)) if found.heats is not None else {}
        if paths:
            self.drawing(self.draw.submit(write_pictures, self.out, paths, sample.pixels, sample.columns, found))
        return {
            **{"index": sample.number, "image": item.title, "error": None, "name": stem},
            **{"width": sample.width, "height": sample.height},
            **text_fields(reading, truth),
            "alignment": paths.get("alignment"),
            "crops": [path for what, path in paths.items() if what.startswith("crop")],
        }


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
