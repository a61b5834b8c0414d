"""Aligns a text that was read with the true one, by the fewest edits."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

Kind = Literal["match", "substitution", "insertion", "deletion"]
"""What became of a unit: read right, read as another, read where there is none, or not read."""


class Pair(NamedTuple):
    """Holds one step of an alignment.

    Attributes:
        kind: ``match``, ``substitution``, ``insertion`` (read, but not there) or ``deletion`` (there, but not read).
        read: Position in what was read; None for a deletion.
        true: Position in the truth; None for an insertion.
    """

    kind: Kind
    read: int | None
    true: int | None


def align(read: Sequence[str], true: Sequence[str]) -> list[Pair]:
    """Aligns what was read with the truth by the fewest insertions, deletions and substitutions.

    Where several alignments have the fewest edits, units are paired from the end on, a substitution rather than an
    insertion and a deletion (Wagner and Fischer 1974, https://doi.org/10.1145/321796.321811).

    Args:
        read: The units that were read: a text, for its characters, or a sequence of words.
        true: The true units.

    Returns:
        Pairs in the order of both. Those that are not matches are the edits; their number is the edit distance.

    Examples:
        >>> from cv_attention.alignment import align
        >>> [(pair.kind, pair.read, pair.true) for pair in align("157", "1237")]
        [('match', 0, 0), ('deletion', None, 1), ('substitution', 1, 2), ('match', 2, 3)]
    """
    start = _common(read, true)
    end = _common(read[start:][::-1], true[start:][::-1])
    inner, wanted = read[start : len(read) - end], true[start : len(true) - end]
    middle = [_moved(pair, start) for pair in _aligned(inner, wanted)]
    first = [Pair("match", place, place) for place in range(start)]
    return first + middle + [Pair("match", len(read) - place, len(true) - place) for place in range(end, 0, -1)]


def edits(pairs: Sequence[Pair]) -> int:
    """Counts the edits of an alignment: the edit distance.

    Args:
        pairs: What `align` returned.

    Examples:
        >>> from cv_attention.alignment import align, edits
        >>> edits(align("157", "1237"))
        2
    """
    return sum(pair.kind != "match" for pair in pairs)


def error_rate(read: Sequence[str], true: Sequence[str]) -> float:
    """Computes the edit distance over the length of the truth; over 1 where that is empty.

    Args:
        read: What was read: a text for the character error rate, a sequence of words for the word error rate.
        true: The truth.

    Examples:
        >>> from cv_attention.alignment import error_rate
        >>> error_rate("157", "1237"), error_rate("1", "")
        (0.5, 1.0)
    """
    return edits(align(read, true)) / max(len(true), 1)


def _common(first: Sequence[str], second: Sequence[str]) -> int:
    """Counts the units with which both begin."""
    pairs = enumerate(zip(first, second, strict=False))
    return next((place for place, (one, other) in pairs if one != other), min(len(first), len(second)))


def _moved(pair: Pair, by: int) -> Pair:
    read, true = (None if place is None else place + by for place in pair[1:])
    return Pair(pair.kind, read, true)


def _aligned(read: Sequence[str], true: Sequence[str]) -> list[Pair]:
    table = _distances(read, true)
    pairs, i, j = [], len(read), len(true)
    while i or j:
        differ = i and j and read[i - 1] != true[j - 1]
        if i and j and table[i][j] == table[i - 1][j - 1] + bool(differ):
            i, j = i - 1, j - 1
            pairs.append(Pair("substitution" if differ else "match", i, j))
        elif i and table[i][j] == table[i - 1][j] + 1:
            i -= 1
            pairs.append(Pair("insertion", i, None))
        else:
            j -= 1
            pairs.append(Pair("deletion", None, j))
    return pairs[::-1]


def _distances(read: Sequence[str], true: Sequence[str]) -> list[list[int]]:
    """Returns the edit distance of every beginning of `read` to every beginning of `true`."""
    rows = [list(range(len(true) + 1))]
    for i, unit in enumerate(read, 1):
        row, above = [i], rows[-1]
        for j, wanted in enumerate(true, 1):
            row.append(min(above[j - 1] + (unit != wanted), above[j] + 1, row[-1] + 1))
        rows.append(row)
    return rows
