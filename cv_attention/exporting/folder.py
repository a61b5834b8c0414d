"""Manages the folder of an export: its request and its finished shards."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cv_attention.exporting.sources import Item
from cv_attention.exporting.verification import SPELLING, Settings, remove_unusable, rows_path
from cv_attention.rundir import Damaged, read_sealed, sealed
from cv_attention.rundir.code_version import code_version
from cv_attention.rundir.files import write_text
from cv_attention.rundir.layout import EXPORT_FORMAT, ExportLayout
from cv_attention.rundir.links import check_links

USED = b'"error": null'  # in a row: quotes in JSON strings are escaped, so this matches only the field


def begin(
    out: Path,
    description: Mapping[str, Any],
    items: Sequence[Item],
    config: Settings,
    overwrite: bool,
    counts: Sequence[str] = (),
) -> list[str]:
    """Prepares a new folder, or one in which the same export was interrupted.

    Args:
        out: The folder.
        description: What is asked for; equal descriptions give equal exports.
        items: All images.
        config: Size and content of the shards.
        overwrite: Whether another export in the folder may be replaced.
        counts: Fields that count images, written as 0.

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
        for file in (*out.glob("manifest.*"), ExportLayout(out).readings, ExportLayout(out).classes):
            file.unlink(missing_ok=True)
    elif ExportLayout(out).shards.is_dir():  # a damaged export.json was removed
        for suffix in ("jsonl", "parquet"):
            ExportLayout(out).manifest(suffix).unlink(missing_ok=True)
    write(out, {**description, **dict.fromkeys(counts, 0), "complete": False})
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
            if USED not in line:
                row = json.loads(line)
                named = row["image"] in row["error"]
                return row["error"] if named else f"{row['image']}: {row['error']}"
    return ""


def write(out: Path, content: Mapping[str, Any]) -> None:
    """Writes ``export.json``, with the version of the code."""
    sealed_content = sealed({**content, "cv_attention": code_version()}, EXPORT_FORMAT)
    write_text(ExportLayout(out).description, json.dumps(sealed_content, indent=1) + "\n")


def _brief(value: object) -> str:
    text = str(value)
    return text if len(text) < 60 else text[:57] + "..."
