"""Chooses among known names by name or glob."""

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase

from cv_attention.suggest import suggest


def chosen(known: Sequence[str], wanted: Sequence[str] | None, what: str) -> list[str]:
    """Returns the known names that were asked for, each once, in the order asked.

    Args:
        known: All names. One of a map is also known without the ``.attention.map`` at its end, as the page shows it.
        wanted: Names or globs; None takes all.
        what: What they name, for the message.

    Raises:
        ValueError: if nothing has one of these names.
    """
    if wanted is None:
        return list(known)
    found: list[str] = []
    for one in wanted:
        matching = [name for name in known if one in (name, shown_name(name)) or fnmatchcase(name, one)]
        if not matching:
            raise ValueError(f"no {what} is called {one}{suggest(one, known, shown=12)}")
        found += matching
    return list(dict.fromkeys(found))


def shown_name(title: str) -> str:
    """Returns a map's name as the page shows it: the end of every recorded submodule's name says nothing."""
    return re.sub(r"(\.attention)?\.map$", "", title) or title
