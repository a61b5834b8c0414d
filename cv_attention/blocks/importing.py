"""Imports what a class path names, once it may be imported."""

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from cv_attention.blocks.trust import check_trusted
from cv_attention.suggest import suggest


def import_object(path: object, place: str, noun: str, fits: Callable[[Any], bool], example: str) -> Any:
    """Imports an object by its class path, ``module.name``; the current directory is searched last.

    Args:
        path: The class path.
        place: Where it stands, for messages: ``block's class_path``.
        noun: What it should name: ``block``.
        fits: Whether an object of the module is such a thing.
        example: A path of the expected form: ``my_block.MyBlock``.

    Raises:
        ValueError: if it has another form, comes from a file and is not trusted, cannot be imported, or names something
            else.
    """
    parts = path.split(".") if isinstance(path, str) else []
    if len(parts) < 2 or not all(part.isidentifier() for part in parts):
        raise ValueError(f"{place} must look like {example}, got {path!r}")
    check_trusted(".".join(parts))
    module_name, name = ".".join(parts[:-1]), parts[-1]
    here = str(Path.cwd())
    # Last, so that a file of the user hides no installed package; it stays, for worker processes and pickles.
    if here not in sys.path:
        sys.path.append(here)
    try:
        module = import_module(module_name)
    except (Exception, SystemExit) as error:  # a script that parses the command line ends the process
        missing = isinstance(error, ModuleNotFoundError) and f"{module_name}.".startswith(f"{error.name}.")
        reason = f"neither installed nor a file in {here}" if missing else f"{type(error).__name__}: {error}"
        raise ValueError(f"{place} {path!r}: cannot import {module_name}: {reason}") from error
    found = getattr(module, name, None)
    if not fits(found):
        names = [other for other, value in vars(module).items() if fits(value)]
        raise ValueError(f"{place} {path!r}: {module_name} has no {noun} {name!r}{suggest(name, names, shown=0)}")
    return found


def is_function_of(module_name: str) -> Callable[[Any], bool]:
    """Returns whether an object is a function that this very module defines, not one that it imported from elsewhere.

    A file may choose a function and its arguments; with trust in a module it gets that module's own functions alone.
    """

    def fits(value: Any) -> bool:
        return callable(value) and getattr(value, "__module__", None) == module_name and hasattr(value, "__name__")

    return fits
