"""Compares finished runs with a reference: differences, intervals and verdicts."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cv_attention.comparison.comparing import Comparison, compare
    from cv_attention.comparison.tables import Row, Table

# The module of each public name, imported when the name is first used: scipy takes half a second, and what the command
# line needs of this package does without it.
_MODULES = {"Comparison": "comparing", "Row": "tables", "Table": "tables", "compare": "comparing"}

__all__ = ["Comparison", "Row", "Table", "compare"]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
