"""Reads the label files of PaddleOCR and clovaai: a path, a tab and a text in each line."""

from collections.abc import Iterator
from pathlib import Path

from cv_attention.data.texts.label_files.labels import Entry, lines

NAMES = ("gt.txt", "labels.txt", "rec_gt_*.txt", "rec_gt.txt")


def read(file: Path) -> Iterator[Entry]:
    """Yields every image with its text.

    Raises:
        ValueError: if a line has no tab or several; names it.
    """
    for number, line in lines(file):
        image, *texts = line.split("\t")
        if len(texts) != 1:
            found = f"{len(texts)} tabs" if texts else "no tab"
            raise ValueError(f"'{file}', line {number} must be a path, a tab and a text, got {found} in {line!r:.80}")
        yield Entry(image, texts[0], file, number)
