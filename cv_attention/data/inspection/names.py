"""Finds names of classes that are hardly meant: one class written in two ways, missing values, lists of classes."""

from collections import defaultdict
from collections.abc import Sequence

from cv_attention.data.inspection.facts import Facts
from cv_attention.data.inspection.findings import Finding, finding
from cv_attention.data.labels import lists_among

MOST = 0.5  # classes for each training image
_ENOUGH = 20  # training images, below which every class may have one
_MISSING = {"", "nan", "none", "null", "n/a", "na", "#n/a", "undefined", "?", "-", "--", "."}


def of_names(facts: Sequence[Facts], names: Sequence[str]) -> list[Finding]:
    """Lists names of classes that are probably mistakes.

    Args:
        facts: What is known of each image.
        names: Names of the classes.
    """
    trained = sum(each.item.split in ("train", "all") for each in facts)
    many = trained >= _ENOUGH and len(names) > MOST * trained
    return [
        *finding("similar names", "warning", "names of classes that differ only in case, spaces or signs",
                 _similar(names)),
        *finding("missing values", "warning", "classes called like a missing value",
                 [repr(name) for name in names if name.strip().lower() in _MISSING]),
        *finding("lists as names", "warning", "classes that are lists of other classes: --data.targets multi, and "
                 "--data.table.separator", [repr(name) for name in lists_among(names)]),
        *finding("many classes", "warning", "hardly more training images than classes: is data.table.label the right "
                 "column, or --data.targets numbers meant?",
                 [f"{len(names):,} classes, {trained:,} training images"] if many else []),
    ]  # fmt: skip


def _similar(names: Sequence[str]) -> list[str]:
    folded = defaultdict(list)
    for name in sorted(names):
        letters = "".join(letter for letter in name.casefold() if letter.isalnum())
        folded[letters or name].append(name)  # a name of signs alone is like no other
    return [" and ".join(map(repr, group)) for group in folded.values() if len(group) > 1]
