"""Describes an export of readings, and merges its finished shards into ``readings.csv``."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cv_attention.alignment import align, edits
from cv_attention.config import ReadingExport
from cv_attention.exporting.folder import read, write
from cv_attention.exporting.sources import Item, digest
from cv_attention.exporting.verification import missing, rows_path
from cv_attention.rundir.layout import EXPORT_FORMAT, ExportLayout
from cv_attention.rundir.readings import ReadText, write_readings
from cv_attention.training.checkpoint.checkpoints import digest_of, name_of
from cv_attention.training.tasks.reading.transcriber import Transcriber

COUNTS = ("read", "failed")  # of images, in ``export.json``


def describe(
    checkpoint: Path | Transcriber,
    transcriber: Transcriber,
    sources: Sequence[str],
    items: Sequence[Item],
    truths: Mapping[int, str],
    config: ReadingExport,
) -> dict[str, Any]:
    """Returns the initial content of ``export.json``; equal descriptions give equal exports."""
    facts, data = transcriber.facts, transcriber.experiment.data
    known = json.dumps(sorted(truths.items())).encode()
    return {
        "format": EXPORT_FORMAT,
        "kind": "readings",
        "checkpoint": name_of(checkpoint),
        "checkpoint_sha256": digest_of(checkpoint),
        "units": list(facts.units),
        "unit": facts.unit,
        "image_size": list(facts.image_size),
        "padded": facts.padded,
        "mean": list(facts.mean),
        "std": list(facts.std),
        "eval_transforms": list(data.eval_transforms),
        "bits": data.bits,
        "sources": list(sources),
        "images": len(items),
        "images_sha256": digest(items),
        "truths": len(truths),
        "truths_sha256": hashlib.sha256(known).hexdigest(),
        "beams": config.beams,
        "length_penalty": config.length_penalty,
        "precision": config.precision,
        "shard_size": config.shard_size,
        "batch_size": config.batch_size,
        "alignments": config.alignments,
        "crops": config.crops,
    }


def finish(out: Path, count: int) -> None:
    """Writes the texts of all complete shards into ``readings.csv``, and records the progress of the export."""
    left = set(missing(out, count))
    rows = list(_rows(out, [shard for shard in range(count) if shard not in left]))
    used = [row for row in rows if row["error"] is None]
    fields = ("text", "confidence", "truth", "cer")
    write_readings(
        ExportLayout(out).readings, (ReadText(row["image"], *(row[name] for name in fields)) for row in used)
    )
    counts = dict(zip(COUNTS, (len(used), len(rows) - len(used)), strict=True))
    write(out, {**read(out), **counts, **_figures(used), "complete": not left})


def _rows(out: Path, shards: Sequence[int]) -> Iterator[dict[str, Any]]:
    for shard in shards:
        for line in rows_path(out, shard).read_bytes().splitlines():
            yield json.loads(line)


def _figures(rows: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """Returns the character error rate and the share of exact texts, of the images whose truth is known."""
    true = [(row["text"], row["truth"]) for row in rows if row["truth"] is not None]
    if not true:
        return {"cer": None, "exact": None}
    errors = sum(edits(align(text, truth)) for text, truth in true)
    return {
        "cer": errors / max(sum(len(truth) for _, truth in true), 1),
        "exact": sum(text == truth for text, truth in true) / len(true),
    }
