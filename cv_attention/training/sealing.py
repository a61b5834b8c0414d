"""Seals the content of a checkpoint with the format's number and a SHA-256, and verifies both when it is read."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cv_attention.training.digest import sha256
from cv_attention.training.provenance import code_version

FORMAT = 1  # of checkpoints and weight files; files from before the number counts as 1


class NewerFormat(ValueError):
    """A file was written by a later version of cv_attention."""


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the content with ``format`` and ``sha256``, the checksum of all the rest."""
    content = {**content, "format": FORMAT}
    return {**content, "sha256": sha256({name: value for name, value in content.items() if name != "sha256"})}


def verify(content: Mapping[str, Any], file: Path) -> None:
    """Verifies what `sealed` added. Content of other programs and of earlier versions has nothing to verify.

    Raises:
        NewerFormat: if the format is newer than this version's.
        ValueError: if the content is not what was written.
    """
    number = content.get("format", FORMAT)
    if isinstance(number, int) and number > FORMAT:
        writer = content.get("provenance", {}).get("cv_attention", "a later version")
        raise NewerFormat(
            f"{file} has format {number}, written by cv_attention {writer}; this is {code_version()}, which reads "
            f"up to format {FORMAT}: update cv_attention"
        )
    if "sha256" in content and content["sha256"] != sha256({k: v for k, v in content.items() if k != "sha256"}):
        raise ValueError(f"{file} is damaged: its content does not have the SHA-256 that was written with it")
