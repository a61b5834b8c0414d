"""Suggests close matches for unknown names ("did you mean …?")."""

from collections.abc import Iterable
from difflib import get_close_matches


def suggest(name: object, known: Iterable[object], *, shown: int = 8, cutoff: float = 0.6) -> str:
    """Returns ``; did you mean 'a', 'b'?`` if there are close matches, else ``; expected one of a, b, c, ...``.

    Args:
        name: The unknown name.
        known: The accepted names.
        shown: How many of them to list if none is close; 0 lists none.
        cutoff: Least similarity of a close match, in [0, 1].
    """
    names = [str(accepted) for accepted in known]
    folded = {_fold(accepted): accepted for accepted in reversed(names)}
    near = [folded[match] for match in get_close_matches(_fold(str(name)), folded, n=3, cutoff=cutoff)]
    if near:
        return f"; did you mean {', '.join(map(repr, near))}?"
    if not names:
        return "; none are available"
    listed = ", ".join(names[:shown]) + (", ..." if len(names) > shown else "")
    return f"; expected one of {listed}" if shown else ""


def _fold(name: str) -> str:
    return name.lower().replace("-", "_")
