"""Makes the alphabet of training texts, and finds the texts that it cannot write."""

from collections import Counter
from collections.abc import Sequence

from cv_attention.alphabet import Alphabet, Unit, divide
from cv_attention.config import Text
from cv_attention.data.tables.entries import Entry

MOST = 1_000  # units of a text, unless data.text.longest says more: a damaged file can be one line


def make(config: Text, entries: Sequence[Entry]) -> Alphabet:
    """Makes the alphabet that a configuration asks for.

    Args:
        config: The settings of the texts.
        entries: The training texts.

    Raises:
        ValueError: if it is empty, or a unit is there twice.
    """
    if config.alphabet is not None:
        given = config.alphabet
        try:
            return Alphabet(divide(given, config.unit) if isinstance(given, str) else given, config.unit)
        except ValueError as error:
            raise ValueError(f"data.text.alphabet: {error}") from None
    most = longest(config)
    counts: Counter[str] = Counter()
    for entry in entries:
        units = divide(entry.text, config.unit)
        if len(units) <= most:
            counts.update(units)
    units = sorted(unit for unit, count in counts.items() if count >= config.min_count)
    if units:
        return Alphabet(units, config.unit)
    if counts:
        raise ValueError(
            f"no {config.unit} occurs in the training texts at least data.text.min_count={config.min_count} times"
        )
    reasons = (_excess(entry, config.unit, most) for entry in entries)
    raise ValueError(next(filter(None, reasons), f"{entries[0].place}: all training texts are empty"))


def longest(config: Text) -> int:
    """Returns the most units that a text may have."""
    return MOST if config.longest is None else config.longest


def fault(entry: Entry, alphabet: Alphabet, most: int) -> str | None:
    """Says why a text cannot be learned; None where it can.

    Args:
        entry: The text and its place.
        alphabet: The alphabet.
        most: The most units that it may have.
    """
    if excess := _excess(entry, alphabet.unit, most):
        return excess
    if alphabet.knows(entry.text):
        return None
    try:
        alphabet.encode(entry.text)
    except ValueError as error:
        return f"{entry.place}: {error}"
    return None


def _excess(entry: Entry, unit: Unit, most: int) -> str | None:
    count = len(divide(entry.text, unit))
    return f"{entry.place}: the text has {count:,} {unit}s; data.text.longest allows {most:,}" if count > most else None
