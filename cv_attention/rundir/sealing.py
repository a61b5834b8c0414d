"""JSON files that hold their format's number and a SHA-256 of everything else in them."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cv_attention.rundir.formats import Damaged, check_format
from cv_attention.rundir.reading import read_json


def sealed(content: Mapping[str, Any], number: int) -> dict[str, Any]:
    """Adds a format number and the SHA-256 of everything else to the content of a JSON file.

    Args:
        content: Values that JSON can hold.
        number: The format number.

    Returns:
        The content with ``format`` first and ``sha256`` last.

    Examples:
        >>> from cv_attention import rundir
        >>> list(rundir.sealed({"seed": 0}, number=1))
        ['format', 'seed', 'sha256']
    """
    plain = {"format": number, **{name: value for name, value in content.items() if name not in ("format", "sha256")}}
    return {**plain, "sha256": _digest(plain)}


def read_sealed(path: Path, known: int) -> dict[str, Any]:
    """Reads and verifies a JSON file of `sealed` content; one from before there were checksums is read unverified.

    Args:
        path: The file.
        known: The newest format that this version reads.

    Returns:
        The content, without the checksum.

    Raises:
        FileNotFoundError: if the file does not exist.
        NewerFormat: if its format is newer.
        Damaged: if its content is not what was written.

    Examples:
        >>> import json
        >>> from pathlib import Path
        >>> from cv_attention import rundir
        >>> text = json.dumps(rundir.sealed({"seed": 0}, number=1))
        >>> _ = Path("sealed.json").write_text(text.replace('"seed": 0', '"seed": 1'))
        >>> rundir.read_sealed(Path("sealed.json"), known=1)
        Traceback (most recent call last):
            ...
        cv_attention.rundir.formats.Damaged: sealed.json is damaged: its content does not have the SHA-256 ...
    """
    content = read_json(path)
    if not content:  # what was written holds at least its format
        raise Damaged(f"{path} is damaged: it holds nothing")
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
