"""The end of an error message about an unknown name: what would be right."""

from collections.abc import Iterable
from difflib import get_close_matches


def suggest(name: str, known: Iterable[str], *, shown: int = 8) -> str:
    """Returns `; did you mean 'a', 'b'?` where near names are known, else `; there are a, b, c, ...`."""
    known = list(known)
    folded = {k.lower(): k for k in known}
    near = [folded[n] for n in get_close_matches(str(name).lower(), folded, n=3, cutoff=0.6)]
    if near:
        return f"; did you mean {', '.join(map(repr, near))}?"
    listed = ", ".join(known[:shown]) + (", ..." if len(known) > shown else "")
    return f"; there are {listed}" if known else "; there are none"
