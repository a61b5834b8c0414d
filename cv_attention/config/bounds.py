"""Declares the bounds of a field next to its default, and checks values against them."""

from collections.abc import Iterator
from dataclasses import field, fields, is_dataclass
from typing import Any, TypeVar, get_args

Value = TypeVar("Value")
_INTERVAL = "interval"  # in the metadata of a field


def bounded(default: Value, interval: str) -> Value:
    """Defines a dataclass field whose numbers must lie in an interval.

        ema: float | None = bounded(None, "(0, 1)")

    Args:
        default: The field's default.
        interval: Such as ``[0, 1)``; a round bracket excludes its end, and an end may be ``inf``. Null and text
            (``auto``) are not compared with it.
    """
    return field(default=default, metadata={_INTERVAL: interval})


def intervals(tree: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Lists the fields of a dataclass that have bounds, as ``optimizer.lr`` and ``(0, inf)``.

    Args:
        tree: The dataclass.
        prefix: Its place in the configuration, such as ``data.``.
    """
    for each in fields(tree):
        if is_dataclass(each.type):
            yield from intervals(each.type, f"{prefix}{each.name}.")
        elif _INTERVAL in each.metadata:
            yield f"{prefix}{each.name}", each.metadata[_INTERVAL]


def check_bounds(part: Any, prefix: str = "") -> None:
    """Checks that the numbers of a dataclass lie within their bounds, and that nothing is null that must not be.

    Args:
        part: One of the configuration's dataclasses.
        prefix: Its place in the configuration, such as ``data.``, for the message.

    Raises:
        ValueError: naming the first field that is wrong, the accepted values and the value.
    """
    for each in fields(part):
        name, value, interval = prefix + each.name, getattr(part, each.name), each.metadata.get(_INTERVAL)
        nullable = type(None) in get_args(each.type)
        if is_dataclass(value):
            check_bounds(value, f"{name}.")
        elif value is None and not nullable:
            raise ValueError(f"{name} must not be null")
        elif interval and isinstance(value, int | float) and not contains(interval, value):
            raise ValueError(f"{name} must be {_words(interval)}{' or null' if nullable else ''}, got {value}")


def contains(interval: str, value: float) -> bool:
    """Returns whether a number lies in an interval such as ``[0, 1)``; NaN lies in none."""
    low, high = _ends(interval)
    above = value >= float(low) if interval[0] == "[" else value > float(low)
    return above and (value <= float(high) if interval[-1] == "]" else value < float(high))


def _words(interval: str) -> str:
    low, high = _ends(interval)
    if high == "inf":
        return f"{'at least' if interval[0] == '[' else 'above'} {low}"
    return f"in {interval}"


def _ends(interval: str) -> list[str]:
    return interval[1:-1].split(", ")
