"""Defines what an inspection finds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """One kind of fault, with all places where it was found.

    Attributes:
        kind: Its name, such as ``broken``.
        severity: ``error``: training fails, or its result is wrong; ``warning``: probably a mistake; ``note``: worth
            knowing.
        text: What it is, and what to do about it.
        places: The images, folders or classes concerned.

    Examples:
        >>> from cv_attention.data.inspection import Finding
        >>> Finding("broken", "error", "broken images; remove them", ("photos/train/ant/7.jpg",)).severity
        'error'
    """

    kind: str
    severity: Severity
    text: str
    places: tuple[str, ...] = ()


def finding(kind: str, severity: Severity, text: str, places: Sequence[str]) -> list[Finding]:
    """Returns a finding, or none if there are no places."""
    return [Finding(kind, severity, text, tuple(places))] if places else []
