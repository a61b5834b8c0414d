"""Reads recipes from files: the part of a configuration that says how a network is trained."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cv_attention.comparison.fields import names as option_names


def found_beside(named: str, study: Path, place: str) -> Path:
    """Returns a file that a study names, relative to the current folder, or else to the study file.

    Args:
        named: Its path in the study file.
        study: The study file.
        place: Where it is named, for the message.

    Raises:
        ValueError: if there is no such file.
    """
    places = [Path(named), study.parent / named]
    found = next((path for path in places if path.is_file()), None)
    if found is None:
        raise ValueError(f"{place}: file not found: {named}, neither here nor in {study.parent}")
    return found


def as_changes(options: Mapping[Any, Any]) -> dict[str, Any]:
    """Returns the options of a configuration as changes, dotted option -> value.

    Options that hold mappings themselves, such as ``optimizer.options``, are replaced as a whole, as ``--config`` does.

    Args:
        options: What a YAML file of `fit` holds.

    Examples:
        >>> from cv_attention.study.design.recipes import as_changes
        >>> as_changes({"optimizer": {"lr": 0.1, "options": {"momentum": 0.8}}, "trainer": {"max_epochs": 3}})
        {'optimizer.lr': 0.1, 'optimizer.options': {'momentum': 0.8}, 'trainer.max_epochs': 3}
    """
    return dict(_flat(options, "", frozenset(option_names())))


def _flat(options: Mapping[Any, Any], before: str, known: frozenset[str]) -> Iterator[tuple[str, Any]]:
    for key, value in options.items():
        name = f"{before}{key}"
        if name not in known and isinstance(value, Mapping):
            yield from _flat(value, f"{name}.", known)
        else:
            yield name, value
