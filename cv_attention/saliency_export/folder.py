"""Manages the folder of an export: its request, its finished shards and its manifest."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cv_attention.config import SaliencyExport
from cv_attention.rundir import Damaged, read_sealed, sealed
from cv_attention.rundir.code_version import code_version
from cv_attention.rundir.files import write_text
from cv_attention.rundir.layout import EXPORT_FORMAT, ExportLayout
from cv_attention.rundir.links import check_links
from cv_attention.saliency_export.maps import Column
from cv_attention.saliency_export.sources import Item, digest
from cv_attention.saliency_export.tables import write_json_lines, write_parquet
from cv_attention.saliency_export.verification import SPELLING, missing, remove_unusable
from cv_attention.saliency_export.writing import rows_path
from cv_attention.training.checkpoint.checkpoints import digest_of, name_of
from cv_attention.training.tasks.classifier import Classifier

_USED = b'"error": null'  # in a row: quotes in JSON strings are escaped, so this matches only the field
_NOT_FINITE = (b'"flags": ["not_finite"]', b'"probability": null')  # a map of the image, or a logit
_TITLES = {"grad_cam": "Grad-CAM"}


def describe(
    checkpoint: Path | Classifier,
    classifier: Classifier,
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
        "layer": columns[0].layer,
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
    }


def begin(
    out: Path, description: dict[str, Any], items: Sequence[Item], config: SaliencyExport, overwrite: bool
) -> list[str]:
    """Prepares a new folder, or one in which the same export was interrupted.

    Returns:
        Notices about shards that are damaged, belong to another export, or whose images have changed.

    Raises:
        ValueError: if it holds another export that may not be overwritten, or a link that points outside.
    """
    check_links(out)
    path = ExportLayout(out).description
    if path.exists():
        known = read(out)
        wanted = {name: value for name, value in description.items() if name not in SPELLING}
        differing = [name for name, value in wanted.items() if known.get(name) != json.loads(json.dumps(value))]
        if not differing:
            return remove_unusable(out, description, items, config)
        if not overwrite:
            name = differing[0]
            before, now = _brief(known.get(name)), _brief(description[name])
            reason = f"holds another export: its {name} is {before}, not {now}"
            if name not in known:
                reason = f"holds an export of an older version, which does not record its {name}"
            raise ValueError(f"{out} {reason}; choose another folder, or --overwrite true")
        for folder in (ExportLayout(out).shards, *(out / name for name in ExportLayout.PICTURES)):
            shutil.rmtree(folder, ignore_errors=True)
        for file in out.glob("manifest.*"):
            file.unlink()
    elif ExportLayout(out).shards.is_dir():  # a damaged export.json was removed
        for suffix in ("jsonl", "parquet"):
            ExportLayout(out).manifest(suffix).unlink(missing_ok=True)
    _write(out, {**description, "explained": 0, "failed": 0, "not_finite": 0, "complete": False})
    return remove_unusable(out, description, items, config)


def read(out: Path) -> dict[str, Any]:
    """Reads ``export.json``.

    Raises:
        ValueError: if it is damaged.
    """
    path = ExportLayout(out).description
    try:
        return read_sealed(path, EXPORT_FORMAT)
    except Damaged as error:
        raise Damaged(
            f"{error}; choose another folder, or remove the file: shards of the same export are kept"
        ) from error


def first_failure(out: Path, count: int) -> str:
    """Returns the error of the first unusable image in `count` shards, or an empty string."""
    for path in (rows_path(out, shard) for shard in range(count)):
        for line in path.read_bytes().splitlines() if path.is_file() else ():
            if _USED not in line:
                row = json.loads(line)
                named = row["image"] in row["error"]
                return row["error"] if named else f"{row['image']}: {row['error']}"
    return ""


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
        unfinite += sum(any(sign in line for sign in _NOT_FINITE) for line in rows.splitlines() if _USED in line)
        explained += (used := rows.count(_USED))
        failed += rows.count(b"\n") - used
    counts = {"explained": explained, "failed": failed, "not_finite": unfinite}
    _write(out, {**read(out), **counts, "complete": not left})


def _write(out: Path, content: dict[str, Any]) -> None:
    content = {**content, "cv_attention": code_version()}
    write_text(ExportLayout(out).description, json.dumps(sealed(content, EXPORT_FORMAT), indent=1) + "\n")


def _brief(value: object) -> str:
    text = str(value)
    return text if len(text) < 60 else text[:57] + "..."
