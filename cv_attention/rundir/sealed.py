"""JSON files that hold their format's number and a SHA-256 of everything else in them."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cv_attention.rundir.formats import Damaged, check_format
from cv_attention.rundir.reading import read_json


def sealed(content: Mapping[str, Any], number: int) -> dict[str, Any]:
    """Returns the content with ``format`` first and ``sha256``, the checksum of all the rest, last."""
    plain = {"format": number, **{name: value for name, value in content.items() if name not in ("format", "sha256")}}
    return {**plain, "sha256": _digest(plain)}


def read_sealed(path: Path, known: int) -> dict[str, Any]:
    """Reads a file of `sealed`, or one from before there were checksums, which has nothing to verify.

    Args:
        path: The file.
        known: The newest format that this version reads.

    Returns:
        The content, without the checksum.

    Raises:
        FileNotFoundError: if the file does not exist.
        NewerFormat: if its format is newer.
        Damaged: if its content is not what was written.
    """
    content = read_json(path)
    provenance = content.get("provenance")
    writer = provenance.get("cv_attention") if isinstance(provenance, dict) else content.get("cv_attention")
    check_format(path, content.get("format"), known, writer)
    expected = content.pop("sha256", None)
    if expected is not None and "format" in content and expected != _digest(content):
        raise Damaged(
            f"{path} is damaged: its content does not have the SHA-256 that was written with it; if you changed it "
            "yourself, take the line sha256 out"
        )
    return content


def _digest(content: Mapping[str, Any]) -> str:
    plain = json.loads(json.dumps(content))  # as it will be read: keys are text
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()
