"""Verifies that the shards of an export are complete, unchanged, and made from this request's images and options."""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from cv_attention.exporting.sources import Item, fingerprint
from cv_attention.rundir.checksums import changed
from cv_attention.rundir.layout import ExportLayout

SPELLING = ("checkpoint", "sources")  # compared by digest instead
_NOT_OF_A_SHARD = (*SPELLING, "format", "images", "images_sha256", "manifest")


class Settings(Protocol):
    """What of an export's configuration says what a shard must hold."""

    @property
    def shard_size(self) -> int:
        """Images of one shard."""
        ...

    @property
    def maps(self) -> str:
        """Suffix of the files of arrays, or ``none``."""
        ...


def rows_path(out: Path, shard: int) -> Path:
    """Returns the path of a shard's rows; the file exists once the shard is complete."""
    return ExportLayout(out).shard(shard, "jsonl")


def missing(out: Path, count: int) -> list[int]:
    """Returns the numbers of the incomplete shards among `count`."""
    return [shard for shard in range(count) if not rows_path(out, shard).is_file()]


def shard_requests(description: Mapping[str, Any], items: Sequence[Item], shard_size: int) -> list[str]:
    """Returns what each shard is made from: a digest of the request, then of each image, one per line."""
    asked = {name: value for name, value in description.items() if name not in _NOT_OF_A_SHARD}
    request = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
    return [
        "".join(f"{line}\n" for line in [request, *map(fingerprint, items[start : start + shard_size])])
        for start in range(0, len(items), shard_size)
    ]


def remove_unusable(out: Path, description: Mapping[str, Any], items: Sequence[Item], config: Settings) -> list[str]:
    """Removes shards that are damaged, belong to another request, or whose images have changed, to redo them.

    Args:
        out: Folder of the export.
        description: The request, from `describe`.
        items: All images.
        config: The shard size, and whether shards have maps.

    Returns:
        Notices, one line per shard.
    """
    notices, requests = [], shard_requests(description, items, config.shard_size)
    for shard, request in enumerate(requests):
        path = rows_path(out, shard)
        if not os.path.lexists(path):
            continue
        images = items[shard * config.shard_size : (shard + 1) * config.shard_size]
        wrong = _difference(path, request, images) or _damage(path, out, len(images), config)
        if wrong:
            notices.append(f"{wrong}; the images of this shard are processed again")
            _remove_shard(out, path.stem)
    for path in ExportLayout(out).rows():
        if re.fullmatch(r"\d{6,}", path.stem) and int(path.stem) >= len(requests):
            notices.append(f"{path} belongs to another export and is removed")
            _remove_shard(out, path.stem)
    return notices


def _damage(path: Path, out: Path, images: int, config: Settings) -> str:
    """Returns what is wrong with a shard, or an empty string."""
    listed = path.with_suffix(".sha256")
    for altered in changed(listed, out):
        return f"{altered} {'has changed since it was written' if altered.exists() else 'is missing'}"
    try:
        rows = [json.loads(line) for line in path.read_bytes().splitlines()]
        failed = sum(row["error"] is not None for row in rows)
        files = {path.name, path.with_suffix(".request").name, *(f"../{picture}" for picture in _pictures(rows))}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return f"{path} is damaged"
    maps = path.with_suffix(f".{config.maps}")
    if len(rows) != images:
        return f"{path} is damaged: it has {len(rows)} rows instead of {images}"
    if config.maps != "none" and failed < images and not maps.is_file():
        return f"{maps} is missing"
    if not listed.is_file():
        return f"{listed} is missing"
    lines = listed.read_text(encoding="utf-8").splitlines()
    return f"{listed} is damaged" if files - {line[66:] for line in lines} else ""


def _pictures(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Returns the paths of all pictures listed in a shard's rows."""
    named = [picture for row in rows if row["error"] is None for picture in _pictures_of(row)]
    return [picture for picture in named if picture is not None]


def _pictures_of(row: Mapping[str, Any]) -> list[str | None]:
    """Returns the paths in the row of an image that was explained, recognised, or whose text was read."""
    if "maps" in row:
        return [row["input"], row["panel"], *(entry["overlay"] for entry in row["maps"])]
    if "because" in row:
        return [row["picture"]]
    return [row["alignment"], *row["crops"]]


def _difference(path: Path, request: str, images: Sequence[Item]) -> str:
    """Returns how a shard differs from this request, or an empty string."""
    try:
        before = path.with_suffix(".request").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return f"{path} does not record which export it belongs to"
    now = request.splitlines()
    if before == now:
        return ""
    if before[:1] != now[:1] or len(before) != len(now):
        return f"{path} belongs to another export"
    place = next(number for number, line in enumerate(now) if line != before[number])
    return f"{images[place - 1].title} has changed since it was processed"


def _remove_shard(out: Path, name: str) -> None:
    """Removes a shard's files and pictures, the rows first: without rows it counts as missing."""
    files = [ExportLayout(out).shards / f"{name}.{suffix}" for suffix in ExportLayout.SHARD_SUFFIXES]
    for path in [*files, *(out / kind / name for kind in ExportLayout.PICTURES)]:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
