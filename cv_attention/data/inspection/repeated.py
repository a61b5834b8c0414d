"""Finds images that occur more than once."""

from collections import defaultdict
from collections.abc import Hashable, Sequence
from typing import Literal

from cv_attention.data.inspection.facts import Facts
from cv_attention.data.inspection.findings import Finding, Severity, finding

How = Literal["file", "pixels", "look"]
_OTHERS: dict[str, tuple[str, Severity, str]] = {
    "single": ("two classes", "error", "the same image with several classes"),
    "multi": ("other classes", "error", "the same image with different classes"),
    "numbers": ("other numbers", "error", "the same image with different numbers"),
}
_OTHERS[""] = _OTHERS["single"]
_AGAIN = {
    "single": "the same image more than once in a class",
    "multi": "the same image more than once with the same classes",
    "numbers": "the same image more than once with the same numbers",
    "": "the same image more than once",
}


def repeated(facts: Sequence[Facts], targets: str) -> list[Finding]:
    """Lists equal images: in two splits, with other classes or numbers, or twice with the same.

    Images are equal if their files or their pixels are. Those that only look alike, as after compressing or resizing,
    are listed apart and only across splits, since they may well be different.

    Args:
        facts: What is known of each image.
        targets: What images are labelled with, see `Contents`.
    """
    usable = [each for each in facts if not each.error]
    equal = _groups(usable, "pixels")
    across = [_named(group) for group in equal if len({each.item.split for each in group}) > 1]
    classes = [_labelled(group, targets) for group in equal if len({_label(each) for each in group}) > 1]
    inside = [_named(group) for group in equal if len({(each.item.split, _label(each)) for each in group}) == 1]
    known = {each.item.name for group in equal for each in group}
    alike = [
        _named(group)
        for group in _groups([each for each in usable if each.look and each.item.name not in known], "look")
        if len({each.item.split for each in group}) > 1
    ]
    return [
        *finding("in two splits", "error", "the same image in several splits: the result will be too good", across),
        *finding(*_OTHERS[targets], classes),
        *finding("repeated", "warning", _AGAIN[targets], inside),
        *finding("alike", "warning", "images in several splits look alike; look at them", alike),
    ]


def _groups(facts: Sequence[Facts], by: How) -> list[list[Facts]]:
    groups: dict[Hashable, list[Facts]] = defaultdict(list)
    for each in facts:
        groups[getattr(each, by)].append(each)
    return [group for group in groups.values() if len(group) > 1]


def _label(facts: Facts) -> tuple[tuple[str, ...], tuple[float, ...]]:
    return facts.item.classes, facts.item.numbers


def _labelled(group: Sequence[Facts], targets: str) -> str:
    """Names images, with their labels where their paths do not say them."""
    if targets == "single":
        return _named(group)
    said = [";".join(each.item.classes) or ", ".join(f"{number:g}" for number in each.item.numbers) for each in group]
    return " = ".join(f"{each.item.name} ({label})" for each, label in zip(group, said, strict=True))


def _named(group: Sequence[Facts]) -> str:
    return " = ".join(each.item.name for each in group)
