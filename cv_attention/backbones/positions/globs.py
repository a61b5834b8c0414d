"""Matches globs over module names: ``*`` stays within one part, ``**`` spans any number of parts."""

from collections.abc import Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase


def matches(pattern: str, name: str) -> bool:
    """Whether a glob fits a dotted module name: ``*`` within one part, ``**`` over any number of parts."""
    return _parts_match(pattern.split("."), name.split("."))


def nearest(pattern: str, names: Sequence[str], positions: Sequence[str] = ()) -> list[str]:
    """Returns up to four names that somebody may have meant by a glob that fits none."""
    near = get_close_matches(pattern, [*positions, *names], n=4, cutoff=0.4)
    return near or [name for name in names if fnmatchcase(name, pattern)][:4] or list(names[:4])


def _parts_match(pattern: list[str], name: list[str]) -> bool:
    if not pattern:
        return not name
    if pattern[0] == "**":
        return any(_parts_match(pattern[1:], name[i:]) for i in range(len(name) + 1))
    return bool(name) and fnmatchcase(name[0], pattern[0]) and _parts_match(pattern[1:], name[1:])
