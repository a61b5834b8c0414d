"""Applies changes of a study file, dotted option -> value, to a configuration."""

import copy
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, get_origin

from cv_attention.comparison.fields import Kind, kind
from cv_attention.comparison.fields import names as option_names
from cv_attention.config import BlockSpec, Experiment, HeadSpec
from cv_attention.config.plain import fits, from_plain
from cv_attention.study.design.checking import check_experiment
from cv_attention.suggest import suggest

Changes = Mapping[str, Any]
# Options that the study decides itself.
OWN = {
    "seed": "the study's seeds decide it",
    "log.name": "a training run is named by its hash",
    "log.root": "all training runs of a folder lie together",
    "data.fold": "a study's blocks are seeds",
}


def apply(plain: Mapping[str, Any], changes: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Returns a copy of a configuration with changed values.

    Args:
        plain: Plain values of `Experiment.to_dict`.
        changes: Dotted option -> value; below options that are mappings, their keys: ``model.options.width``.
        place: Where the changes stand in the study file, for messages.

    Raises:
        ValueError: naming the place, the option and the value, if an option is unknown or a value has the wrong type.
    """
    changed: dict[str, Any] = copy.deepcopy(dict(plain))
    for name, value in changes.items():
        leaf, keys = _leaf(str(name), place)
        if keys:
            _set_below(changed, leaf, keys, value, f"{place}: {name}")
            continue
        wanted = _type(leaf)
        if wanted not in (BlockSpec, HeadSpec) and not fits(value, wanted):
            raise ValueError(f"{place}: {leaf} must be {_words(wanted)}, got {_short(value)}")
        if wanted in (BlockSpec, HeadSpec) and not isinstance(value, str | dict | None):
            raise ValueError(f"{place}: {leaf} must be a name, a mapping or null, got {_short(value)}")
        *groups, last = leaf.split(".")
        _section(changed, groups)[last] = copy.deepcopy(value)
    return changed


def changed(experiment: Experiment, changes: Changes, place: str) -> Experiment:
    """Returns a configuration with changes, checked.

    Raises:
        ValueError: naming the place.
    """
    plain = apply(experiment.to_dict(), changes, place)
    try:
        found = from_plain(Experiment, plain)
        check_experiment(found)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from error
    return found


def check_kinds(changes: Mapping[str, Any], place: str, *, network: bool) -> None:
    """Makes sure that changes leave to the study what it decides, and that networks keep the images.

    Raises:
        ValueError: naming the place and the option.
    """
    for name in changes:
        if name in OWN:
            raise ValueError(f"{place}: {name} cannot be changed: {OWN[name]}")
        if network and kind(_leaf(str(name), place)[0]) is Kind.DATA:
            raise ValueError(f"{place}: {name} would change the images; networks are compared on the same ones")


def _leaf(name: str, place: str) -> tuple[str, tuple[str, ...]]:
    """Splits a dotted name into an option and the keys below it."""
    known = list(option_names())
    if name in known:
        return name, ()
    parts = name.split(".")
    for length in range(len(parts) - 1, 0, -1):
        option = ".".join(parts[:length])
        if option in known and get_origin(_type(option)) is dict:
            return option, tuple(parts[length:])
    if any(option.startswith(f"{name}.") for option in known):
        example = next(option for option in known if option.startswith(f"{name}."))
        raise ValueError(f"{place}: {name} is a section; write its options with dots, such as {example}")
    raise ValueError(f"{place}: unknown option {name!r}{suggest(name, known, shown=0)}")


def _set_below(tree: dict[str, Any], leaf: str, keys: tuple[str, ...], value: Any, place: str) -> None:
    inner = _section(tree, leaf.split("."))
    for key in keys[:-1]:
        inner = inner.setdefault(key, {})
        if not isinstance(inner, dict):
            raise ValueError(f"{place}: {key} is not a mapping but {_short(inner)}")
    inner[keys[-1]] = copy.deepcopy(value)
    if not fits(_section(tree, leaf.split(".")), _type(leaf)):
        raise ValueError(f"{place} does not fit {_words(_type(leaf))}, got {_short(value)}")


def _section(tree: dict[str, Any], groups: list[str]) -> dict[str, Any]:
    for group in groups:
        tree = tree[group]
    return tree


def _type(name: str) -> Any:
    tree: Any = Experiment
    for part in name.split("."):
        tree = next(field.type for field in fields(tree) if field.name == part)
    assert not is_dataclass(tree)
    return tree


def _words(wanted: Any) -> str:
    text = getattr(wanted, "__name__", None) if get_origin(wanted) is None else None
    return (text or str(wanted)).replace("typing.", "").replace("NoneType", "null").replace("None", "null")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
