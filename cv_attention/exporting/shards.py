"""Writes the files of a finished shard, last of all its rows, which mark it as complete."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cv_attention.exporting.verification import rows_path
from cv_attention.rundir.checksums import listing
from cv_attention.rundir.files import write_bytes


def write_shard(
    out: Path,
    shard: int,
    rows: Sequence[Mapping[str, Any]],
    request: str,
    drawn: Mapping[Path, str],
    arrays: Mapping[str, bytes] | None = None,
) -> None:
    """Writes a shard's checksums, request, arrays and rows, in this order.

    Args:
        out: Folder of the export.
        shard: Its number.
        rows: One for each image.
        request: What the shard is made from, from `shard_requests`.
        drawn: SHA-256 of the pictures that were already written for it.
        arrays: Content of files of arrays, by suffix.

    Raises:
        OSError: if the disk is full, or the folder cannot be written to.
    """
    last = rows_path(out, shard)
    files = {last: "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows).encode()}
    files |= {last.with_suffix(f".{suffix}"): content for suffix, content in (arrays or {}).items()}
    files[last.with_suffix(".request")] = request.encode()
    sums = {path: hashlib.sha256(content).hexdigest() for path, content in files.items()}
    files[last.with_suffix(".sha256")] = listing(last.parent, {**sums, **drawn}).encode()
    for path, content in reversed(files.items()):
        write_bytes(path, content)
