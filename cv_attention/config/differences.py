"""Lists the differences between two configurations, one line each."""

import json
from collections.abc import Mapping
from typing import Any


def differences(before: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Lists what differs between two configurations, as ``optimizer.lr: 0.1 -> 0.05``.

    Args:
        before: Plain values of `Experiment.to_dict`; fields that it lacks are left out.
        now: The same, of another configuration.
        prefix: What stands before each field's name.
    """
    lines: list[str] = []
    for name, value in now.items():
        old = before.get(name, value)
        if isinstance(value, Mapping) and isinstance(old, Mapping):
            lines += differences(old, value, f"{prefix}{name}.")
        elif value != old:
            lines.append(f"{prefix}{name}: {json.dumps(old)} -> {json.dumps(value)}")
    return lines
