"""Matches globs over module names: ``*`` stays within one level of a dotted name, ``**`` crosses levels.

``layer*.*.bn2`` is every bn2 two levels below layer1, layer2, ...; ``layer4.**`` is layer4 with everything below it;
``**.attn`` is every attn at any depth, also at the top. ``?`` and ``[...]`` stay within one level too. Upper and lower
case differ.
"""

import warnings
from collections.abc import Sequence
from fnmatch import fnmatchcase

from typing_extensions import TypeAliasType

from cv_attention.suggest import suggest

Globs = TypeAliasType("Globs", str | Sequence[str])  # names of modules or globs over them


def matches(glob: str, name: str) -> bool:
    """Returns whether a glob fits a dotted module name.

    Args:
        glob: The pattern; a level that is ``**`` stands for any number of levels, none among them.
        name: The name.

    Raises:
        ValueError: if ``**`` does not stand alone between dots.

    Examples:
        >>> from cv_attention.globs import matches
        >>> matches("layer*", "layer1"), matches("layer*", "layer1.0"), matches("layer*.**", "layer1.0")
        (True, False, True)
    """
    levels = name.split(".")
    consumed = {0}  # how many levels of the name the glob up to here may stand for
    for part in glob.split("."):
        if part == "**":
            consumed = set(range(min(consumed), len(levels) + 1))
        elif "**" in part:
            raise ValueError(f"glob {glob!r}: ** must stand alone between dots, as in {_across(glob)!r}")
        else:
            consumed = {n + 1 for n in consumed if n < len(levels) and fnmatchcase(levels[n], part)}
        if not consumed:
            return False
    return len(levels) in consumed


def select(names: Sequence[str], globs: Sequence[str], what: str) -> list[str]:
    """Returns the names that match any glob, in their order.

    Args:
        names: All names.
        globs: Exact names or globs.
        what: What the names are of, for messages: ``attention map``.

    Raises:
        ValueError: if one of the globs matches nothing.
    """
    for glob in globs:
        fitting = [name for name in names if matches(glob, name)]
        if not fitting:
            near = levels_hint(glob, names) or suggest(glob, names, shown=3, cutoff=0.3)
            raise ValueError(f"no {what} matches {glob!r}{near}")
        # `record` and `layers=` once let * cross levels.
        if "*" in glob and any(fnmatchcase(name, glob) for name in set(names).difference(fitting)):
            warnings.warn(
                f"{glob!r} matches {len(fitting)}, as * stays within one level of a name; {_across(glob)!r} matches "
                f"{sum(matches(_across(glob), name) for name in names)}",
                FutureWarning,
                stacklevel=3,
            )
    return [name for name in names if any(matches(glob, name) for glob in globs)]


def levels_hint(glob: str, names: Sequence[str]) -> str:
    """Ends a message about a glob that fits nothing by the glob that crosses levels, where that one fits."""
    if "*" not in glob:
        return ""
    count = sum(matches(_across(glob), name) for name in names)
    return f"; * stays within one level of a name: {_across(glob)!r} matches {count}" if count else ""


def _across(glob: str) -> str:
    """Returns the glob in which every ``*`` crosses levels: ``layer4*`` becomes ``layer4*.**``."""
    return ".".join(_part_across(part) for part in glob.split("."))


def _part_across(part: str) -> str:
    first, *rest = part.replace("**", "*").split("*")
    if not rest:
        return part
    if not first and rest == [""]:
        return "**"
    *inner, last = rest
    begin = f"{first}*.**" if first else "**"
    middle = "".join(f".*{text}*.**" for text in inner)
    return f"{begin}{middle}.*{last}" if last else f"{begin}{middle}"
