"""Finds what is wrong or unusual where an image has several classes."""

from collections.abc import Sequence

import numpy as np

from cv_attention.data.inspection.classes import FEW
from cv_attention.data.inspection.facts import Facts
from cv_attention.data.inspection.findings import Finding, finding

FAR = 3  # times as many classes as 95 % of the images have at most
RARE = 0.02  # share of the images that may have all classes by mistake


def of_several(facts: Sequence[Facts], names: Sequence[str]) -> list[Finding]:
    """Lists images with all classes or none, classes that nearly every image has, and classes that are one.

    Args:
        facts: What is known of each image.
        names: Names of the classes.
    """
    usable = [each for each in facts if not each.error]
    trained = [each for each in usable if each.item.split == "train"]
    marks = np.array([[name in each.item.classes for name in names] for each in trained], bool)
    marks = marks.reshape(len(trained), len(names))
    counts = np.array([len(each.item.classes) for each in usable], int)
    without = len(trained) - marks.sum(0)
    everywhere = [f"{name}: {count} without" for name, count in zip(names, without.tolist(), strict=True)
                  if count < FEW < len(trained) / 2]  # fmt: skip
    alone = len(names) > 1 and bool(len(counts)) and bool((counts == 1).all())
    return [
        *finding("every image", "warning", f"classes that all training images but fewer than {FEW} have", everywhere),
        *finding("always together", "warning", "classes that the same training images have", _equal(marks, names)),
        *finding("all classes", "warning", "images with far more classes than the others",
                 [f"{usable[row].item.name}: {counts[row]}" for row in _far(counts, len(names))]),
        *finding("no class", "note", "images without a class: are their labels missing?",
                 [each.item.name for each in usable if not each.item.classes]),
        *finding("one class each", "note", "every image has exactly one class: --data.targets single is meant for that",
                 [f"{len(counts):,} images"] if alone else []),
    ]  # fmt: skip


def _equal(marks: np.ndarray, names: Sequence[str]) -> list[str]:
    """Returns groups of classes that the same images have, at least so many that chance is unlikely."""
    groups: dict[bytes, list[str]] = {}
    for column, name in enumerate(names):
        if marks[:, column].sum() >= FEW and not marks[:, column].all():
            groups.setdefault(marks[:, column].tobytes(), []).append(name)
    return [" and ".join(group) for group in groups.values() if len(group) > 1]


def _far(counts: np.ndarray, classes: int) -> list[int]:
    """Returns the images with all classes, where few have all, or with far more than the others."""
    if not len(counts):
        return []
    usual = max(float(np.percentile(counts, 95)), 1.0)
    full = counts == classes
    absurd = classes >= 4 and full.sum() <= RARE * len(counts) and float(np.median(counts)) <= classes / 2
    return np.flatnonzero((counts > FAR * usual) | (full & absurd)).tolist()
