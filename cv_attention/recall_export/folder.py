"""Describes an export of recognised images, and merges its finished shards into ``classes.csv``."""

import csv
import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cv_attention.config import RecallExport
from cv_attention.exporting.folder import read, write
from cv_attention.exporting.sources import Item, digest, fingerprint
from cv_attention.exporting.verification import missing, rows_path
from cv_attention.recall_export.support import Support
from cv_attention.rundir.files import write_bytes
from cv_attention.rundir.layout import EXPORT_FORMAT, ExportLayout
from cv_attention.training.checkpoint.checkpoints import digest_of, name_of
from cv_attention.training.tasks.classifier import Classifier

COUNTS = ("recognised", "failed")  # of images, in ``export.json``


def describe(
    checkpoint: Path | Classifier, support: Support, sources: Sequence[str], items: Sequence[Item], config: RecallExport
) -> dict[str, Any]:
    """Returns the initial content of ``export.json``; equal descriptions give equal exports.

    Args:
        checkpoint: The trained network.
        support: The labelled images.
        sources: Where the other images are.
        items: The other images.
        config: How to compare them, and what to write.
    """
    facts, data, memory = support.classifier.facts, support.classifier.experiment.data, support.memory
    shown = [[fingerprint(item), label] for item, label in zip(support.items, memory.labels, strict=True)]
    return {
        "format": EXPORT_FORMAT,
        "kind": "recall",
        "checkpoint": name_of(checkpoint),
        "checkpoint_sha256": digest_of(checkpoint),
        "classes": [str(name) for name in memory.classes],
        "support": len(memory),
        "support_sha256": hashlib.sha256(json.dumps(shown).encode()).hexdigest(),
        "strength": memory.strength,
        "strength_from": memory.strength_from,
        "prototypes": config.prototypes,
        "image_size": list(facts.image_size),
        "mean": list(facts.mean),
        "std": list(facts.std),
        "eval_transforms": list(data.eval_transforms),
        "bits": support.bits,
        "sources": list(sources),
        "images": len(items),
        "images_sha256": digest(items),
        "nearest": config.nearest,
        "precision": config.precision,
        "shard_size": config.shard_size,
        "batch_size": config.batch_size,
        "pictures": config.pictures,
    }


def finish(out: Path, count: int) -> None:
    """Writes the classes of all complete shards into ``classes.csv``, and records the progress of the export.

    Args:
        out: Folder of the export.
        count: Number of its shards.
    """
    left = set(missing(out, count))
    rows = list(_rows(out, [shard for shard in range(count) if shard not in left]))
    used = [row for row in rows if row["error"] is None]
    _write_table(ExportLayout(out).classes, used)
    counts = dict(zip(COUNTS, (len(used), len(rows) - len(used)), strict=True))
    write(out, {**read(out), **counts, "complete": not left})


def _rows(out: Path, shards: Sequence[int]) -> Iterator[dict[str, Any]]:
    for shard in shards:
        for line in rows_path(out, shard).read_bytes().splitlines():
            yield json.loads(line)


def _write_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes a line for each image: its class, the probability, and the labelled images with their weights."""
    most = max((len(row["because"]) for row in rows), default=0)
    reasons = [f"{what}_{place}" for place in range(1, most + 1) for what in ("image", "class", "weight")]
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["file_name", "class", "confidence", *reasons])
    for row in rows:
        because = [(each["image"], each["class"], f"{each['weight']:.6g}") for each in row["because"]]
        cells = [cell for each in because for cell in each]
        table.writerow([row["image"], row["class"], f"{row['confidence']:.6g}", *cells])
    write_bytes(path, text.getvalue().encode("utf-8", "backslashreplace"))
