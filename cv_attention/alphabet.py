"""Defines the units that texts are read in, and their numbers."""

from collections.abc import Iterable, Sequence
from typing import Literal, get_args

Unit = Literal["character", "grapheme", "word"]
"""What a text is divided into: Unicode code points, what a reader sees as one character, or words between spaces."""

END = 0  # the number that ends a text, in every alphabet: an output, unlike those that start and pad


class Alphabet:
    """Numbers the units of texts: characters, graphemes or words.

    0 ends a text and the units count from 1 on: these are what a network can write. Two more numbers are inputs alone,
    `start`, which precedes every text, and `padding`, which fills up shorter texts of a batch.

    Args:
        units: The units, each once. A text stands for its characters.
        unit: ``character``, ``grapheme`` (such as a letter with its combining accents) or ``word``.

    Attributes:
        units: The units in the order of their numbers, from 1 on.
        unit: What a text is divided into.
        outputs: How many numbers a network can write: the units and the end.
        start: Number of the start.
        padding: Number of the padding.

    Raises:
        ValueError: if there are no units, one is there twice or is empty, a word holds a space, or `unit` is unknown.

    Examples:
        >>> from cv_attention.alphabet import Alphabet
        >>> digits = Alphabet("0123456789")
        >>> digits.encode("207"), digits.outputs
        ([3, 1, 8], 11)
        >>> digits.decode([3, 1, 8, 0, 5])  # 0 ends the text
        '207'
        >>> Alphabet(["a", "dog", "runs"], unit="word").decode([1, 2, 3])
        'a dog runs'
    """

    def __init__(self, units: Iterable[str], unit: Unit = "character") -> None:
        if unit not in get_args(Unit):
            raise ValueError(f"unit must be one of {', '.join(get_args(Unit))}, got {unit!r}")
        self.units = tuple(units)
        self.unit: Unit = unit
        self._numbers = {text: number for number, text in enumerate(self.units, 1)}
        _check(self.units, self._numbers, unit)
        self.outputs = len(self.units) + 1
        self.start, self.padding = self.outputs, self.outputs + 1

    def __eq__(self, other: object) -> bool:
        """Returns whether the same numbers stand for the same units."""
        return isinstance(other, Alphabet) and (self.units, self.unit) == (other.units, other.unit)

    def __hash__(self) -> int:
        """Returns a hash of the units."""
        return hash((self.units, self.unit))

    def __repr__(self) -> str:
        """Returns the call that makes the alphabet, shortened."""
        shown = "".join(self.units) if self.unit == "character" else list(self.units)
        return f"Alphabet({shown!r:.60}, unit={self.unit!r})"

    def encode(self, text: str) -> list[int]:
        """Returns the numbers of a text's units, without the end.

        Args:
            text: The text.

        Raises:
            ValueError: if it holds a unit that the alphabet lacks; names the unit and its place.
        """
        numbers = []
        for place, part in enumerate(divide(text, self.unit)):
            if part not in self._numbers:
                code = f" (U+{ord(part):04X})" if len(part) == 1 else ""
                raise ValueError(f"{self.unit} {place + 1} of {text!r:.80} is {part!r}{code}, which no unit stands for")
            numbers.append(self._numbers[part])
        return numbers

    def knows(self, text: str) -> bool:
        """Returns whether the alphabet has every unit of `text`."""
        return all(part in self._numbers for part in divide(text, self.unit))

    def parts(self, numbers: Iterable[int]) -> list[str]:
        """Returns the units of `numbers` up to the first end.

        Raises:
            ValueError: if a number is neither the end nor a unit.
        """
        found = []
        for number in numbers:
            if number == END:
                break
            if not 0 < number < self.outputs:
                raise ValueError(f"numbers must be 0 to {self.outputs - 1}, got {number}")
            found.append(self.units[number - 1])
        return found

    def decode(self, numbers: Iterable[int]) -> str:
        """Returns the text of `numbers` up to the first end; words are joined by a space."""
        return (" " if self.unit == "word" else "").join(self.parts(numbers))


def divide(text: str, unit: Unit) -> Sequence[str]:
    """Divides a text into its units.

    Args:
        text: The text.
        unit: ``character``: Unicode code points; ``grapheme``: extended grapheme clusters of Unicode's annex 29;
            ``word``: what stands between white space.

    Raises:
        ValueError: if graphemes are asked for, and the package `regex` is not installed.

    Examples:
        >>> from cv_attention.alphabet import divide
        >>> divide("two dogs", "word")
        ['two', 'dogs']
    """
    if unit == "word":
        return text.split()
    if unit == "character":
        return list(text)
    try:
        import regex
    except ImportError:
        raise ValueError("unit 'grapheme' needs the package regex: pip install regex") from None
    return regex.findall(r"\X", text)


def _check(units: tuple[str, ...], numbers: dict[str, int], unit: str) -> None:
    if not units:
        raise ValueError("an alphabet must have at least one unit, got none")
    if "" in numbers:
        raise ValueError(f"unit {numbers['']} of the alphabet is an empty text")
    if len(numbers) < len(units):
        twice = next(text for number, text in enumerate(units, 1) if numbers[text] != number)
        raise ValueError(f"units must be different from each other, but {twice!r} is there twice")
    if unit == "word" and (spaced := next((text for text in units if len(text.split()) != 1), None)) is not None:
        raise ValueError(f"words must not hold white space, got {spaced!r}")
