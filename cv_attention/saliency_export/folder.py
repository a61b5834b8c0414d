"""Describes a saliency export, and merges the rows of its finished shards into the manifest."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cv_attention.config import SaliencyExport
from cv_attention.exporting.folder import USED, read, write
from cv_attention.exporting.sources import Item, digest
from cv_attention.exporting.verification import missing, rows_path
from cv_attention.rundir.layout import EXPORT_FORMAT, ExportLayout
from cv_attention.saliency_export.maps import Column, Explained
from cv_attention.saliency_export.tables import write_json_lines, write_parquet
from cv_attention.training.checkpoint.checkpoints import digest_of, name_of

COUNTS = ("explained", "failed", "not_finite")  # of images, in ``export.json``
_NOT_FINITE = (b'"flags": ["not_finite"]', b'"probability": null')  # a map of the image, or a logit
_TITLES = {"grad_cam": "Grad-CAM"}


def describe(
    checkpoint: Path | Explained,
    classifier: Explained,
    sources: Sequence[str],
    items: Sequence[Item],
    columns: Sequence[Column],
    config: SaliencyExport,
) -> dict[str, Any]:
    """Returns the initial content of ``export.json``; equal descriptions give equal exports."""
    facts, data = classifier.facts, classifier.experiment.data
    return {
        "format": EXPORT_FORMAT,
        "checkpoint": name_of(checkpoint),
        "checkpoint_sha256": digest_of(checkpoint),
        "class_names": list(facts.class_names),
        "image_size": list(facts.image_size),
        "mean": list(facts.mean),
        "std": list(facts.std),
        "eval_transforms": list(data.eval_transforms),
        "bits": data.bits,
        "cache": data.cache,
        "sources": list(sources),
        "images": len(items),
        "images_sha256": digest(items),
        "method": config.method,
        "options": config.options,
        "layer": columns[0].layer if isinstance(config.method, str) else _layers(columns),
        "target": config.target,
        "columns": [
            {"key": c.key, "title": _TITLES.get(c.key, c.key), "source": c.source, "kind": c.kind} for c in columns
        ],
        "precision": config.precision,
        "shard_size": config.shard_size,
        "batch_size": config.batch_size,
        "maps": config.maps,
        "inputs": config.inputs,
        "overlays": config.overlays,
        "panels": config.panels,
        "manifest": config.manifest,
        **_beyond_defaults(config),
    }


def _layers(columns: Sequence[Column]) -> dict[str, str | None]:
    return {column.key: column.layer for column in columns if column.source == "saliency"}


def _beyond_defaults(config: SaliencyExport) -> dict[str, Any]:
    """Returns settings that earlier versions did not have, where they differ from what those did."""
    before = {"clip": 100, "photographs": False, "captions": False}
    return {name: getattr(config, name) for name, value in before.items() if getattr(config, name) != value}


def finish(out: Path, config: SaliencyExport, count: int) -> None:
    """Merges the rows of all complete shards into the manifest, and records the progress of the export."""
    left = set(missing(out, count))
    whole = [rows_path(out, shard) for shard in range(count) if shard not in left]
    if config.manifest == "parquet":
        write_parquet(ExportLayout(out).manifest("parquet"), whole)
    else:
        write_json_lines(ExportLayout(out).manifest("jsonl"), whole)
    explained = failed = unfinite = 0
    for path in whole:
        rows = path.read_bytes()
        unfinite += sum(any(sign in line for sign in _NOT_FINITE) for line in rows.splitlines() if USED in line)
        explained += (used := rows.count(USED))
        failed += rows.count(b"\n") - used
    counts = dict(zip(COUNTS, (explained, failed, unfinite), strict=True))
    write(out, {**read(out), **counts, "complete": not left})
