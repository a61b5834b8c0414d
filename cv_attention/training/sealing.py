"""Seals the content of a checkpoint with the format's number and a SHA-256, and verifies both when it is read."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cv_attention.rundir import Damaged, check_format
from cv_attention.training.digest import sha256

FORMAT = 1  # of checkpoints and weight files; files from before the number counts as 1


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the content with ``format`` and ``sha256``, the checksum of all the rest."""
    content = {**content, "format": FORMAT}
    return {**content, "sha256": sha256({name: value for name, value in content.items() if name != "sha256"})}


def verify(content: Mapping[str, Any], file: Path) -> None:
    """Verifies what `sealed` added. Content of other programs and of earlier versions has nothing to verify.

    Raises:
        NewerFormat: if the format is newer than this version's.
        Damaged: if the content is not what was written.
    """
    provenance = content.get("provenance")
    check_format(
        file, content.get("format"), FORMAT, provenance.get("cv_attention") if isinstance(provenance, Mapping) else None
    )
    if "sha256" in content and content["sha256"] != sha256({k: v for k, v in content.items() if k != "sha256"}):
        raise Damaged(f"{file} is damaged: its content does not have the SHA-256 that was written with it")
