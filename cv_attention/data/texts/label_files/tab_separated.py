"""Reads the label files of PaddleOCR and clovaai: a path, a tab and a text in each line.

The generator TRDG (``-na 2``) writes a space in place of the tab; a file without a tab in its first line is read so.
"""

from collections.abc import Iterator
from pathlib import Path

from cv_attention.data.tables.entries import Entry
from cv_attention.data.texts.label_files.labels import lines

NAMES = ("gt.txt", "labels.txt", "rec_gt_*.txt", "rec_gt.txt")


def read(file: Path) -> Iterator[Entry]:
    """Yields every image with its text.

    Raises:
        ValueError: if a line has no tab or several; names it.
    """
    spaced = None
    for number, line in lines(file):
        image, *texts = line.split("\t")
        if spaced is None:
            spaced = not texts and " " in line
        if spaced and not texts:
            image, _, text = line.partition(" ")
            texts = [text]
        elif len(texts) != 1 or spaced:
            found = f"{len(texts)} tabs" if len(texts) > 1 else "a tab, unlike line 1" if spaced else "no tab"
            raise ValueError(f"'{file}', line {number} must be a path, a tab and a text, got {found} in {line!r:.80}")
        yield Entry(image, texts[0], file, number)
