"""Keeps jsonargparse from importing classes: it would instantiate every ``class_path`` in a value of any type.

Class paths of blocks are resolved by `blocks.resolve`, which checks whether a file may name them.
"""

from dataclasses import fields, is_dataclass
from typing import Any

import yaml
from jsonargparse import get_loader, set_loader

MODE = "options"  # of the parsers: YAML in which the key has another name
_KEY, _HIDDEN = "class_path", "class path of"


def load(text: str) -> Any:
    """Loads YAML as jsonargparse does, but renames every ``class_path`` so that it stays a plain mapping."""
    return _renamed(get_loader("yaml")(text), _KEY, _HIDDEN)


def restored(value: Any) -> Any:
    """Restores the original ``class_path`` keys of a parsed value or dataclass."""
    if is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            setattr(value, field.name, restored(getattr(value, field.name)))
        return value
    return _renamed(value, _HIDDEN, _KEY)


def _renamed(value: Any, before: str, after: str) -> Any:
    if isinstance(value, dict):
        return {(after if key == before else key): _renamed(inner, before, after) for key, inner in value.items()}
    if isinstance(value, list):
        return [_renamed(inner, before, after) for inner in value]
    return value


set_loader(MODE, load, (yaml.YAMLError,))
