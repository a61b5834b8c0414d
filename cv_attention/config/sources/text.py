"""Configures how images with a label file are read."""

from dataclasses import dataclass
from typing import Literal

from cv_attention.config.bounds import bounded


@dataclass
class Text:
    """Configures the texts of the images that are read if ``data.name`` is ``text``.

    Attributes:
        unit: What a text is divided into: ``character`` (Unicode code points), ``grapheme`` (what a reader sees as one
            character, needs the package regex) or ``word`` (what stands between white space).
        alphabet: The units that the network can write: a text of them, or a list; null takes all units of the training
            texts, in the order of their code points.
        unknown: What an image does whose text holds a unit that the alphabet lacks, or is too long: ``error`` ends the
            run with its file, line and character; ``drop`` leaves the image out and prints how many there are.
        min_count: How often a unit must occur in the training texts to be in the alphabet, where `alphabet` is null.
        lower: Change all texts to lower case.
        longest: Most units of a text; null is the longest text of the data, of at most 1,000 units.
        from_name: Regular expression with one group, which is the text in the name of each image file: ``_([^_]+)_``
            for ``12_WORD_345.jpg``; null looks for a label file.
        height: Height in pixels that images are resized to.
        width: Width in pixels: images keep their aspect, and narrower ones are padded on the right.
        test_fraction: Share of the images that are the test split, where the data has no splits at all.

    Examples:
        >>> from cv_attention.config import Data, Text
        >>> data = Data(name="text", root="meters", text=Text(alphabet="0123456789.", unknown="drop"))
        >>> data.text.height, data.text.width
        (32, 128)
    """

    unit: Literal["character", "grapheme", "word"] = "character"
    alphabet: str | list[str] | None = None
    unknown: Literal["error", "drop"] = "error"
    min_count: int = bounded(1, "[1, inf)")
    lower: bool = False
    longest: int | None = bounded(None, "[1, 100000]")
    from_name: str | None = None
    height: int = bounded(32, "[4, 4096]")
    width: int = bounded(128, "[4, 16384]")
    test_fraction: float = bounded(0.1, "(0, 1)")
