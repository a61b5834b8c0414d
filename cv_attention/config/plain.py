"""Rebuilds typed dataclasses from the plain values of a file, and checks every name and type."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from cv_attention.config.model import BlockSpec, HeadSpec
from cv_attention.suggest import suggest


def from_plain(tree: Any, values: Any, place: str = "the configuration") -> Any:
    """Rebuilds a dataclass from a mapping of its fields; fields that are missing have their defaults.

    Args:
        tree: The dataclass.
        values: The mapping, as `dataclasses.asdict` makes it.
        place: Where it comes from, for messages.

    Returns:
        An instance of `tree`.

    Raises:
        ValueError: if it is not a mapping, names an unknown field, or a value has the wrong type.
    """
    if not isinstance(values, Mapping):
        raise ValueError(f"{place} must be a mapping of names to values, got {_short(values)}")
    kinds: dict[str, Any] = {field.name: field.type for field in fields(tree)}
    given = {}
    for name, value in values.items():
        if name not in kinds:
            raise ValueError(f"{place} has no field {name!r}{suggest(str(name), list(kinds), shown=0)}")
        if is_dataclass(kinds[name]):
            given[name] = from_plain(kinds[name], value, f"{place}.{name}")
        elif value is None or kinds[name] in (BlockSpec, HeadSpec) or fits(value, kinds[name]):
            # null counts as whatever the command line takes it for; `insert` takes more forms of blocks
            given[name] = value
        else:
            raise ValueError(f"{place}.{name} must be {_words(kinds[name])}, got {_short(value)}")
    return tree(**given)


def fits(value: Any, kind: Any) -> bool:
    """Returns whether a value has a type such as ``list[str] | None``; an int counts as a float, a bool as neither."""
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any:
        return True
    if origin in (Union, UnionType):
        return any(fits(value, option) for option in inner)
    if origin is Literal:
        return value in inner
    if origin is list:
        return isinstance(value, list | tuple) and all(fits(item, inner[0]) for item in value)
    if origin is tuple:
        several = inner[0], *inner[1:]
        if several[-1] is Ellipsis:
            return isinstance(value, list | tuple) and all(fits(item, inner[0]) for item in value)
        return isinstance(value, list | tuple) and len(value) == len(inner) and all(map(fits, value, inner))
    if origin is dict:
        return isinstance(value, dict) and all(_key(k, inner[0]) and fits(v, inner[1]) for k, v in value.items())
    if kind in (int, float) and isinstance(value, bool):
        return False
    if kind is float:
        return isinstance(value, int | float)
    return isinstance(value, kind)


def _key(key: Any, kind: Any) -> bool:
    return fits(key, kind) or (kind is int and isinstance(key, str) and key.isdecimal())  # JSON's keys are text


def _words(kind: Any) -> str:
    if get_origin(kind) in (Union, UnionType):
        return " or ".join(map(_words, get_args(kind)))
    if get_origin(kind) is Literal:
        return " or ".join(map(str, get_args(kind)))
    return "null" if kind is type(None) else str(getattr(kind, "__name__", kind))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
