"""Suggests close matches for unknown names ("did you mean …?")."""

from collections.abc import Iterable
from difflib import get_close_matches


def suggest(name: object, known: Iterable[object], *, shown: int = 8, cutoff: float = 0.6) -> str:
    """Returns ``; did you mean 'a', 'b'?`` where near names are known, else ``; there are a, b, c, ...``.

    Args:
        name: The wrong name.
        known: The right ones.
        shown: How many of them are listed when none is near; 0 lists none.
        cutoff: Least similarity of a near name, in [0, 1].
    """
    names = [str(one) for one in known]
    folded = {_fold(one): one for one in reversed(names)}
    near = [folded[one] for one in get_close_matches(_fold(str(name)), folded, n=3, cutoff=cutoff)]
    if near:
        return f"; did you mean {', '.join(map(repr, near))}?"
    if not names:
        return "; there are none"
    listed = ", ".join(names[:shown]) + (", ..." if len(names) > shown else "")
    return f"; there are {listed}" if shown else ""


def _fold(name: str) -> str:
    return name.lower().replace("-", "_")
