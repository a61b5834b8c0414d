"""Suggests close matches for unknown names ("did you mean …?")."""

from collections.abc import Callable, Iterable
from difflib import get_close_matches


def suggest(
    name: object,
    known: Iterable[object],
    *,
    shown: int = 8,
    cutoff: float = 0.6,
    label: Callable[[str], str] = str,
) -> str:
    """Returns ``; did you mean 'a', 'b'?`` where names are near, else ``; there are a, b, c, ...``.

    Case, hyphens and underscores make no difference.

    Args:
        name: The unknown name.
        known: The accepted names.
        shown: How many of them to list if none is close; 0 lists none.
        cutoff: Least similarity of a near name, in [0, 1], as in `difflib.get_close_matches`.
        label: What a known name is shown as.

    Examples:
        >>> from cv_attention.suggest import suggest
        >>> suggest("grad-cma", ["grad_cam", "rise"])
        "; did you mean 'grad_cam'?"
        >>> suggest("lrp", ["grad_cam", "rise"])
        '; expected one of grad_cam, rise'
    """
    names = [str(each) for each in known]
    folded = {_fold(each): each for each in reversed(names)}
    near = [label(folded[each]) for each in get_close_matches(_fold(str(name)), folded, n=3, cutoff=cutoff)]
    if near:
        return f"; did you mean {', '.join(map(repr, near))}?"
    if not names:
        return "; none are available"
    listed = ", ".join(map(label, names[:shown])) + (", ..." if len(names) > shown else "")
    return f"; expected one of {listed}" if shown else ""


def _fold(name: str) -> str:
    return name.lower().replace("-", "_")
