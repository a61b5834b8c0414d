"""Checks format numbers of files: older ones are read, newer ones refused with both versions."""

import errno
from pathlib import Path
from typing import Any

from cv_attention.version import __version__


class Damaged(ValueError):
    """Raised if a file does not hold what was written into it."""


class NotRead(OSError):
    """Raised if a file could not be read for a reason that says nothing of its content: permissions, disk, memory.

    Args:
        path: The file.
        reason: What prevented it.

    Examples:
        >>> from pathlib import Path
        >>> from cv_attention.rundir import NotRead
        >>> print(NotRead(Path("runs/mine/summary.json"), PermissionError(13, "Permission denied")))
        runs/mine/summary.json cannot be read now: Permission denied
    """

    def __init__(self, path: Path, reason: BaseException) -> None:
        number = reason.errno if isinstance(reason, OSError) else errno.ENOMEM if isinstance(reason, MemoryError) else 0
        words = "not enough memory" if isinstance(reason, MemoryError) else getattr(reason, "strerror", None)
        super().__init__(number, " ".join(str(words or reason).split())[:200] or type(reason).__name__, str(path))

    def __str__(self) -> str:
        """Names the file and the reason."""
        return f"{self.filename} cannot be read now: {self.strerror}"


class NewerFormat(ValueError):
    """Raised if a file was written by a later version of cv_attention."""


def check_format(file: Path, number: Any, known: int, writer: Any = None) -> None:
    """Checks that this version can read a file.

    Args:
        file: The file, for messages.
        number: The format that the file states; None in files from before there was a number, which counts as 1.
        known: The newest format that this version reads.
        writer: The version of cv_attention that wrote the file, if the file states it.

    Raises:
        NewerFormat: if the format is newer; one line with both versions.
        Damaged: if it is not a format number.

    Examples:
        >>> from pathlib import Path
        >>> from cv_attention import rundir
        >>> rundir.check_format(Path("summary.json"), number=1, known=2)
        >>> rundir.check_format(Path("summary.json"), number=3, known=2, writer="9.0")
        Traceback (most recent call last):
            ...
        cv_attention.rundir.formats.NewerFormat: summary.json has format 3, written by cv_attention 9.0; ...
    """
    if number is None:
        return
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise Damaged(f"{file} is damaged: its format must be a whole number from 1 on, got {str(number)[:40]!r}")
    if number > known:
        by = writer if isinstance(writer, str) else "a later version"
        raise NewerFormat(
            f"{file} has format {number}, written by cv_attention {by}; this is {__version__}, which reads up to "
            f"format {known}: update cv_attention"
        )
