"""The folder of an export: what was asked for, which shards are left, and the manifest of those that are whole."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cv_attention.export_config import SaliencyExport
from cv_attention.training.checkpoints import digest_of, name_of
from cv_attention.training.classifier import Classifier
from cv_attention.training.files import write_text
from cv_attention.training.saliency_export.maps import Column
from cv_attention.training.saliency_export.sources import Item, digest
from cv_attention.training.saliency_export.tables import write_json_lines, write_parquet
from cv_attention.training.saliency_export.writing import rows_path

_SPELLING = ("checkpoint", "sources")  # digests tell whether they are the same
_TITLES = {"grad_cam": "Grad-CAM"}


def describe(
    checkpoint: Path | Classifier,
    class_names: tuple[str, ...],
    image_size: tuple[int, int],
    sources: Sequence[str],
    items: Sequence[Item],
    columns: Sequence[Column],
    config: SaliencyExport,
) -> dict[str, Any]:
    """Returns what ``export.json`` says before anything is done; equal descriptions give equal exports."""
    return {
        "format": 1,
        "checkpoint": name_of(checkpoint),
        "checkpoint_sha256": digest_of(checkpoint),
        "class_names": list(class_names),
        "image_size": list(image_size),
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


def begin(out: Path, description: dict[str, Any], overwrite: bool) -> None:
    """Prepares the folder: a new one, or one where the same export was interrupted.

    Raises:
        ValueError: if it holds another export, and that may not be overwritten.
    """
    path = out / "export.json"
    if path.is_file():
        known = read(out)
        wanted = {name: value for name, value in description.items() if name not in _SPELLING}
        differing = [name for name, value in wanted.items() if known.get(name) != json.loads(json.dumps(value))]
        if not differing:
            return
        if not overwrite:
            name = differing[0]
            before, now = _brief(known.get(name)), _brief(description[name])
            raise ValueError(
                f"{out} holds another export: its {name} is {before}, not {now}; "
                "choose another folder, or --overwrite true"
            )
        for folder in ("shards", "inputs", "overlays", "panels"):
            shutil.rmtree(out / folder, ignore_errors=True)
        for file in out.glob("manifest.*"):
            file.unlink()
    _write(out, {**description, "explained": 0, "failed": 0, "complete": False})


def read(out: Path) -> dict[str, Any]:
    """Reads ``export.json``.

    Raises:
        ValueError: if it is damaged.
    """
    path = out / "export.json"
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path} is no JSON: {error}; choose another folder, or remove it") from error


def missing(out: Path, count: int) -> list[int]:
    """Returns the numbers of the shards, of `count`, that are not whole."""
    return [shard for shard in range(count) if not rows_path(out, shard).is_file()]


def first_failure(out: Path, count: int) -> str:
    """Returns what was wrong with the first image, of `count` shards, that could not be used; else an empty text."""
    for path in (rows_path(out, shard) for shard in range(count)):
        for line in path.read_bytes().splitlines() if path.is_file() else ():
            if b'"error": null' not in line:
                row = json.loads(line)
                told = row["image"] in row["error"]
                return row["error"] if told else f"{row['image']}: {row['error']}"
    return ""


def finish(out: Path, config: SaliencyExport, count: int) -> None:
    """Merges the rows of all whole shards into the manifest, and writes down how far the export came."""
    left = set(missing(out, count))
    whole = [rows_path(out, shard) for shard in range(count) if shard not in left]
    if config.manifest == "parquet":
        write_parquet(out / "manifest.parquet", whole)
    else:
        write_json_lines(out / "manifest.jsonl", whole)
    explained = failed = 0
    for path in whole:
        rows = path.read_bytes()
        # quotes within a JSON string are escaped, so that this is the field and nothing else
        explained += (found := rows.count(b'"error": null'))
        failed += rows.count(b"\n") - found
    _write(out, {**read(out), "explained": explained, "failed": failed, "complete": not left})


def _write(out: Path, content: dict[str, Any]) -> None:
    write_text(out / "export.json", json.dumps(content, indent=1) + "\n")


def _brief(value: object) -> str:
    text = str(value)
    return text if len(text) < 60 else text[:57] + "..."
