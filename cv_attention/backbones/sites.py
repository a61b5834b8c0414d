"""Turns `at` into hosts: positions by name, and globs over module names."""

import difflib
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

from torch import nn

from cv_attention.backbones.hosts import Hosts
from cv_attention.backbones.stages import stage_hosts
from cv_attention.backbones.trace import Trace
from cv_attention.backbones.units import residual_units


def _residual_hosts(model: nn.Module, trace: Trace, hosts: Hosts) -> list[str]:
    """Ends of the residual branches, before the addition (SE paper, figure 5, "standard")."""
    found = (hosts.of_branch(unit.branch) for unit in residual_units(trace))
    return [name for name in found if name is not None]


Position = Callable[[nn.Module, Trace, Hosts], list[str]]

POSITIONS: dict[str, Position] = {"residual": _residual_hosts, "stage": stage_hosts}


def find_hosts(model: nn.Module, trace: Trace, at: str | Sequence[str], own: set[str]) -> list[str]:
    """The names of the hosts in the order in which the forward reaches them.

    Args:
        model: The model that was traced.
        trace: Its trace.
        at: A position, a glob, or several of them. In a glob, ``*`` stays within one part of a dotted name
            and ``**`` stands for any number of parts.
        own: Names of modules that belong to inserted blocks, which are no hosts.

    Raises:
        ValueError: if a position or glob finds nothing, or a glob's module cannot be a host.
    """
    wanted = [at] if isinstance(at, str) else list(at)
    if not wanted or not all(isinstance(w, str) and w for w in wanted):
        raise ValueError(f"at must be a position or a glob over module names, or a list of them, got {at!r}")
    hosts = Hosts(model, trace)
    names = [name for name in hosts.modules if name and name not in own]
    found: dict[str, None] = {}
    for pattern in wanted:
        if pattern in POSITIONS:
            here = POSITIONS[pattern](model, trace, hosts)
        else:
            here = [hosts.at(name) for name in names if matches(pattern, name)]
        if not here:
            raise ValueError(_nothing_found(pattern, model, trace, hosts, names))
        found.update(dict.fromkeys(here))
    order = {name: _index(hosts, name) for name in found}
    return sorted(found, key=order.__getitem__)


def matches(pattern: str, name: str) -> bool:
    """Whether a glob fits a dotted module name: ``*`` within one part, ``**`` over any number of parts."""
    return _parts_match(pattern.split("."), name.split("."))


def _parts_match(pattern: list[str], name: list[str]) -> bool:
    if not pattern:
        return not name
    if pattern[0] == "**":
        return any(_parts_match(pattern[1:], name[i:]) for i in range(len(name) + 1))
    return bool(name) and fnmatchcase(name[0], pattern[0]) and _parts_match(pattern[1:], name[1:])


def _index(hosts: Hosts, name: str) -> int:
    value = hosts.value(name)
    assert value is not None
    return value.index


def _plain(hosts: Hosts, name: str) -> bool:
    """Whether a module would do as an example of a host: a feature map of more than one position."""
    value = hosts.value(name)
    return bool(value and hosts.problem(name) is None and value.channel_axis == 1 and value.shape[-1] > 1)


def _nothing_found(pattern: str, model: nn.Module, trace: Trace, hosts: Hosts, names: list[str]) -> str:
    counts = {position: len(find(model, trace, hosts)) for position, find in POSITIONS.items()}
    has = ", ".join(f"{position} ({n} sites)" for position, n in counts.items() if n) or "none"
    kind = type(model).__name__
    if pattern in POSITIONS:
        example = next((f"; or name modules by a glob, such as {n!r}" for n in reversed(names) if _plain(hosts, n)), "")
        return f"{kind} has no position {pattern!r}; it has: {has}{example}"
    near = difflib.get_close_matches(pattern, [*POSITIONS, *names], n=4, cutoff=0.4)
    if not near:
        near = [name for name in names if fnmatchcase(name, pattern)][:4] or names[:4]
    hint = "; in a glob * stays within one part of a name, ** spans several" if "*" in pattern else ""
    return f"at={pattern!r} fits no module of {kind}; near: {', '.join(near)}; positions: {has}{hint}"
