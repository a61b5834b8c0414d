"""Reads docTR's ``labels.json``, an object of image names and texts; the images lie in the folder ``images``."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cv_attention.data.tables.entries import Entry
from cv_attention.data.texts.label_files.labels import text_of

NAMES = ("labels.json",)


def read(file: Path) -> Iterator[Entry]:
    """Yields every image with its text.

    Raises:
        ValueError: if the file is not an object of texts, or names an image twice.
    """
    pairs = parse(text_of(file), f"'{file}'", object_pairs_hook=_Pairs)
    if not isinstance(pairs, _Pairs):
        raise ValueError(f'\'{file}\' must be an object such as {{"1.png": "text"}}, got {type(pairs).__name__}')
    for image, text in pairs:
        if not isinstance(text, str):
            kind = "an object" if isinstance(text, _Pairs) else repr(text)
            raise ValueError(f"'{file}': the text of {image!r:.80} must be a string, got {kind:.80}")
        yield Entry(image, text, file)


def parse(text: str, place: str, **options: Any) -> Any:
    """Parses JSON.

    Raises:
        ValueError: if it is invalid; names the place and the line.
    """
    try:
        return json.loads(text, **options)
    except json.JSONDecodeError as error:
        raise ValueError(f"{place} is not valid JSON: {error}") from None
    except RecursionError:
        raise ValueError(f"{place} is not valid JSON: too many brackets within each other") from None


class _Pairs(list):
    """Holds the pairs of an object, of which a dict would drop repeated ones."""
