"""Finds images that occur more than once."""

from collections import defaultdict
from collections.abc import Hashable, Sequence
from typing import Literal

from cv_attention.data.inspection.facts import Facts
from cv_attention.data.inspection.findings import Finding, finding

How = Literal["file", "pixels", "look"]


def repeated(facts: Sequence[Facts]) -> list[Finding]:
    """Lists equal images: in two splits, with two classes, or twice in one class.

    Images are equal if their files or their pixels are. Those that only look alike, as after compressing or resizing,
    are listed apart and only across splits, since they may well be different.

    Args:
        facts: What is known of each image.
    """
    usable = [each for each in facts if not each.error]
    equal = _groups(usable, "pixels")
    across = [_named(group) for group in equal if len({each.item.split for each in group}) > 1]
    classes = [_named(group) for group in equal if len({each.item.label for each in group}) > 1]
    inside = [
        _named(group) for group in equal if len({(each.item.split, each.item.label) for each in group}) == 1
    ]  # fmt: skip
    known = {each.item.name for group in equal for each in group}
    alike = [
        _named(group)
        for group in _groups([each for each in usable if each.look and each.item.name not in known], "look")
        if len({each.item.split for each in group}) > 1
    ]
    return [
        *finding("in two splits", "error", "the same image in several splits: the result will be too good", across),
        *finding("two classes", "error", "the same image with several classes", classes),
        *finding("repeated", "warning", "the same image more than once in a class", inside),
        *finding("alike", "warning", "images in several splits look alike; look at them", alike),
    ]


def _groups(facts: Sequence[Facts], by: How) -> list[list[Facts]]:
    groups: dict[Hashable, list[Facts]] = defaultdict(list)
    for each in facts:
        groups[getattr(each, by)].append(each)
    return [group for group in groups.values() if len(group) > 1]


def _named(group: Sequence[Facts]) -> str:
    return " = ".join(each.item.name for each in group)
