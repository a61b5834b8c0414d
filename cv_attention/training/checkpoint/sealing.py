"""Seals the content of a checkpoint with a format number and a SHA-256, and verifies both when it is read."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from cv_attention.rundir import Damaged, check_format
from cv_attention.training.checkpoint.digest import sha256

FORMAT = 1  # of checkpoints and weight files; files without a number count as 1


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the content with ``format`` and ``sha256``, the checksum of everything else."""
    content = {**content, "format": FORMAT}
    return {**content, "sha256": sha256({name: value for name, value in content.items() if name != "sha256"})}


def verifying(content: Mapping[str, Any], file: Path) -> Callable[[], None]:
    """Begins to verify what `sealed` added, in a thread, so that a network can be built meanwhile.

    Hashing does not hold Python's lock. Content of other programs and of earlier versions has nothing to verify.

    Args:
        content: The content of a file; not to be changed before the end.
        file: The file, for messages.

    Returns:
        A function that waits for the result, and raises Damaged if the content has changed.

    Raises:
        NewerFormat: at once, if the format is newer than this version's.
    """
    provenance = content.get("provenance")
    writer = provenance.get("cv_attention") if isinstance(provenance, Mapping) else None
    check_format(file, content.get("format"), FORMAT, writer)
    if "sha256" not in content:
        return lambda: None
    hashed = {name: value for name, value in content.items() if name != "sha256"}
    thread = ThreadPoolExecutor(1, "sha256")
    digest = thread.submit(sha256, hashed)
    thread.shutdown(wait=False)

    def finish() -> None:
        if content["sha256"] != digest.result():
            raise Damaged(f"{file} is damaged: its content does not match the stored SHA-256")

    return finish
