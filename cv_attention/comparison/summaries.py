"""Reads and validates ``summary.json`` for a comparison."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Names with dots are fields of a section.
_MAPPINGS = ("test", "validation", "higher_is_better", "data", "data.folds", "provenance", "hardware")
_TEXTS = ("data.fingerprint", "data.folds.digest", "provenance.cv_attention", "provenance.torch")
_TEXTS += ("hardware.accelerator", "hardware.device", "hardware.precision")
_COUNTS = ("data.folds.count", "hardware.devices", "hardware.threads")
_HUGE = 1e100  # practically infinite: left by training runs that diverged
_NUMBERS = ("parameters", "flops", "training_seconds", "images_per_second")


def check(path: Path, summary: Mapping[str, Any]) -> None:
    """Checks the types of all values that a comparison reads; null stands for a missing value.

    Raises:
        ValueError: if a value has another type.
    """
    for names, kinds, expected in (
        (_MAPPINGS, Mapping, "a mapping of names to values"),
        (_TEXTS, str, "text"),
        (_COUNTS, int, "a whole number"),
        (_NUMBERS, (int, float), "a number"),
    ):
        for name in names:
            value = _value(summary, name)
            if value is not None and (not isinstance(value, kinds) or isinstance(value, bool)):
                raise ValueError(f"{path}: {name} must be {expected}, got {_short(value)}")
    for section in ("test", "validation"):
        for name, value in (summary.get(section) or {}).items():
            if isinstance(value, (str, bool)):
                raise ValueError(f"{path}: {section}.{name} must be a number, got {_short(value)}")


def figures(section: Mapping[str, Any]) -> dict[str, float]:
    """Returns the metrics of a section; missing or huge values become non-finite."""
    return {
        name: _float(value)
        for name, value in section.items()
        if name != "epoch" and (value is None or isinstance(value, (int, float)))
    }


def number(summary: Mapping[str, Any], name: str) -> float | int | None:
    """Returns a number; None if it is missing or not finite."""
    value = summary.get(name)
    return value if value is not None and math.isfinite(_float(value)) else None


def _float(value: float | int | None) -> float:
    if value is None:
        return math.nan
    if abs(value) >= _HUGE:
        return math.inf if value > 0 else -math.inf
    return float(value)


def _value(summary: Mapping[str, Any], name: str) -> Any:
    group, _, last = name.rpartition(".")
    section = _value(summary, group) if group else summary
    return section.get(last) if isinstance(section, Mapping) else None


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
