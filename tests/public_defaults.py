"""Writes down the default of every argument of the public functions and classes.

python -m tests.public_defaults > tests/public_defaults.json
"""

import dataclasses
import inspect
import json
import re
from collections.abc import Iterator
from typing import Any


def defaults(symbols: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Returns the public name of each function, class and method -> argument -> what stands for its default."""
    found = {}
    for name, symbol in sorted(symbols.items()):
        for place, function in _functions(name, symbol):
            parameters = inspect.signature(function).parameters.values()
            own = {p.name: _shown(p.default) for p in parameters if p.default is not p.empty}
            if own:
                found[place] = own
    return found


def _functions(name: str, symbol: Any) -> Iterator[tuple[str, Any]]:
    if not inspect.isclass(symbol):
        yield name, symbol
        return
    if "__init__" in vars(symbol) or "__new__" in vars(symbol) or dataclasses.is_dataclass(symbol):
        yield name, symbol
    for method, value in sorted(vars(symbol).items()):
        inner = value.__func__ if isinstance(value, staticmethod | classmethod) else value
        if inspect.isfunction(inner) and not method.startswith("_"):
            yield f"{name}.{method}", inner


def _shown(value: Any) -> str:
    """Writes a default without addresses in memory, which change from run to run."""
    if inspect.isclass(value) or inspect.isfunction(value):
        return f"{value.__module__}.{value.__qualname__}"
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


if __name__ == "__main__":
    from tests.test_docstrings import SYMBOLS

    print(json.dumps(defaults(SYMBOLS), indent=1, ensure_ascii=False))
