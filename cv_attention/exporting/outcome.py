"""Says how an export ended: what every kind of export counts."""

from typing import Any

from cv_attention.exporting.folder import first_failure, read
from cv_attention.exporting.verification import missing
from cv_attention.exporting.work import Work


def outcome_fields(work: Work, used: str, before: int, seconds: float, is_main: bool) -> dict[str, Any]:
    """Returns the fields that the outcomes of all exports share.

    Args:
        work: What was carried out.
        used: The count of usable images in ``export.json``, such as ``read``; the outcome's field has the same name.
        before: Number of images that were left before.
        seconds: Duration.
        is_main: Whether this is the first process, which reports the outcome.
    """
    out = work.writer.out
    said, left = read(out), missing(out, work.shards)
    waiting, stopped = work.images_of(left), work.interruption.received if left else 0
    return {
        used: said[used],
        "failed": len(work.items) - waiting - said[used],
        "first_failure": first_failure(out, work.shards) if is_main and said["failed"] else "",
        "left": waiting,
        "error": work.writer.error or ("a process stopped early" if left and not stopped else ""),
        "seconds": seconds,
        "new": before - waiting,
        "signal": stopped,
        "is_main": is_main,
    }
