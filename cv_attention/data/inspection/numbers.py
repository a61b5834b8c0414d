"""Finds what is wrong or unusual where an image has numbers."""

from collections.abc import Sequence

import numpy as np

from cv_attention.data.inspection.classes import FEW
from cv_attention.data.inspection.facts import Facts
from cv_attention.data.inspection.findings import Finding, finding

FAR = 10  # robust standard deviations
RARE = 0.05  # share of the images; where more lie far off, the numbers are spread so
APART = 0.5  # standard deviations between the means of two splits
VALUES = 10  # of whole numbers that may be classes


def of_numbers(facts: Sequence[Facts], names: Sequence[str]) -> list[Finding]:
    """Lists numbers that are constant, absurd or alike, and splits whose numbers differ.

    Args:
        facts: What is known of each image.
        names: Names of the numbers.
    """
    usable = [each for each in facts if not each.error]
    if not usable:
        return []
    values = np.array([each.item.numbers for each in usable], float)
    splits = np.array([each.item.split for each in usable])
    train = values[splits == "train"]
    columns = list(enumerate(names))
    constant = [name for place, name in columns if len(np.unique(train[:, place])) < 2]
    far = [f"{usable[row].item.name}: {name} {values[row, place]:g}, {_usual(train[:, place])}"
           for place, name in columns for row in _far(values[:, place], train[:, place])]  # fmt: skip
    return [
        *finding("constant number", "error", "numbers that are the same for all training images", constant),
        *finding("far off", "warning", "numbers far from all others: placeholders, or other units?", far),
        *finding("numbers differ", "warning", f"splits whose means differ by more than {APART:g} standard deviations",
                 [text for place, name in columns for text in _apart(values[:, place], splits, name)]),
        *finding("same numbers", "warning", "numbers that say the same", _same(train, names)),
        *finding("one value", "warning", "numbers with one value for more than half of the training images",
                 [text for place, name in columns if name not in constant for text in _one(train[:, place], name)]),
        *finding("beyond training", "note", "numbers outside of the range of the training images",
                 [text for place, name in columns for text in _beyond(values[:, place], splits, name)]),
        *finding("few values", "note", "whole numbers of few values: with --data.targets single they are classes",
                 [text for place, name in columns if name not in constant for text in _few(train[:, place], name)]),
    ]  # fmt: skip


def ranges(values: Sequence[Sequence[float]], names: Sequence[str]) -> dict[str, tuple[float, float, float]]:
    """Returns the smallest, the median and the largest of each number.

    Args:
        values: The numbers of each image.
        names: Names of the numbers.
    """
    found = np.array(values, float).reshape(-1, len(names))
    return {
        name: (float(column.min()), float(np.median(column)), float(column.max()))
        for name, column in zip(names, found.T, strict=True)
        if len(column)
    }


def _far(values: np.ndarray, train: np.ndarray) -> list[int]:
    """Returns the images whose number lies far off, unless many do."""
    quarter, middle, three = np.percentile(train, (25, 50, 75))
    scale = (three - quarter) / 1.349  # of a normal distribution, its standard deviation
    if scale == 0:
        return []
    found = np.flatnonzero(np.abs(values - middle) > FAR * scale)
    return found.tolist() if len(found) <= max(RARE * len(values), 1) else []


def _usual(train: np.ndarray) -> str:
    quarter, three = np.percentile(train, (25, 75))
    return f"half of the training images have {quarter:g} to {three:g}"


def _apart(values: np.ndarray, splits: np.ndarray, name: str) -> list[str]:
    train, found = values[splits == "train"], []
    for split in ("val", "test"):
        own = values[splits == split]
        if not len(own) or len(train) < 2 or train.std() == 0:
            continue
        difference = abs(own.mean() - train.mean()) / train.std()
        by_chance = 4 * (1 / len(own) + 1 / len(train)) ** 0.5  # standard errors of the difference
        if difference > max(APART, by_chance):
            found.append(f"{name} in {split}: mean {own.mean():.4g}, in train {train.mean():.4g}")
    return found


def _same(train: np.ndarray, names: Sequence[str]) -> list[str]:
    varied = [place for place in range(len(names)) if len(train) > 2 and train[:, place].std() > 0]
    if len(varied) < 2:
        return []
    related = np.abs(np.corrcoef(train[:, varied], rowvar=False))
    return [f"{names[varied[a]]} and {names[varied[b]]}" for a, b in np.argwhere(np.triu(related, 1) > 1 - 1e-6)]


def _one(train: np.ndarray, name: str) -> list[str]:
    found, counts = np.unique(train, return_counts=True)
    most = int(counts.argmax())
    return [f"{name}: {found[most]:g} for {counts[most]:,} of {len(train):,}"] if counts[most] > len(train) / 2 else []


def _beyond(values: np.ndarray, splits: np.ndarray, name: str) -> list[str]:
    train, found = values[splits == "train"], []
    for split in ("val", "test"):
        own = values[splits == split]
        count = int(((own < train.min()) | (own > train.max())).sum()) if len(train) else 0
        if count:
            of_train = f"in train {train.min():g} to {train.max():g}"
            found.append(f"{name} of {count:,} {split} images: {own.min():g} to {own.max():g}, {of_train}")
    return found


def _few(train: np.ndarray, name: str) -> list[str]:
    found, counts = np.unique(train, return_counts=True)
    few = len(found) <= VALUES and bool((found == np.rint(found)).all()) and len(train) >= FEW * len(found)
    return [f"{name}: {', '.join(f'{value:g}' for value in found)}"] if few and counts.min() > 1 else []
