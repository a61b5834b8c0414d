"""Finds what is wrong or unusual with classes and splits."""

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from cv_attention.data.inspection.facts import Facts
from cv_attention.data.inspection.findings import Finding, finding

FEW = 5  # training images of a class
UNEVEN = 10  # times as many images as the smallest class
APART = 0.1  # difference of mean brightness between splits


def of_classes(facts: Sequence[Facts]) -> list[Finding]:
    """Lists classes that a split lacks, small ones, similar names, and splits that look different.

    Args:
        facts: What is known of each image.
    """
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for each in facts:
        if not each.error:
            counts[each.item.split][each.item.label] += 1
    every = sorted({each.item.label for each in facts})
    learned = counts["all" if "all" in counts else "train"]
    missing = [f"{name} in {split}" for split in ("val", "test") if split in counts
               for name in every if learned[name] and not counts[split][name]]  # fmt: skip
    few = [f"{name}: {learned[name]}" for name in every if 0 < learned[name] < FEW]
    return [
        *finding("not trained", "error", "classes without usable training images",
                 [name for name in every if learned and not learned[name]]),
        *finding("missing class", "warning", "classes that a split lacks: nothing is known of their accuracy", missing),
        *finding("few images", "warning", f"classes with fewer than {FEW} training images", few),
        *finding("similar names", "warning", "names of classes that differ only in case, spaces or signs",
                 _similar(every)),
        *finding("uneven", "note", f"the largest class has {UNEVEN} times as many training images as the smallest: "
                 "--data.balanced true, and look at more than the accuracy", _uneven(learned)),
        *finding("splits differ", "warning", "splits differ in brightness by more than a tenth", _apart(facts)),
    ]  # fmt: skip


def _similar(names: Sequence[str]) -> list[str]:
    folded = defaultdict(list)
    for name in names:
        folded["".join(letter for letter in name.casefold() if letter.isalnum())].append(name)
    return [" and ".join(map(repr, group)) for group in folded.values() if len(group) > 1]


def _uneven(counts: Counter[str]) -> list[str]:
    present = {name: count for name, count in counts.items() if count}
    if len(present) < 2 or max(present.values()) < UNEVEN * min(present.values()):
        return []
    largest, smallest = max(present, key=present.__getitem__), min(present, key=present.__getitem__)
    return [f"{largest}: {present[largest]:,}, {smallest}: {present[smallest]:,}"]


def _apart(facts: Sequence[Facts]) -> list[str]:
    by_split = defaultdict(list)
    for each in facts:
        if not each.error:
            by_split[each.item.split].append(float(np.mean(each.mean)))
    means = {split: float(np.mean(values)) for split, values in by_split.items()}
    return [
        f"{split} {mean:.2f}, train {means['train']:.2f}"
        for split, mean in means.items()
        if "train" in means and abs(mean - means["train"]) > APART
    ]
