"""Finds classes that have few images, or none in a split."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from cv_attention.data.inspection.facts import Facts
from cv_attention.data.inspection.findings import Finding, finding

FEW = 5  # training images of a class
UNEVEN = 10  # times as many images as the smallest class


def of_classes(facts: Sequence[Facts], names: Sequence[str]) -> list[Finding]:
    """Lists classes that a split lacks, and small ones, also where an image has several classes.

    Args:
        facts: What is known of each image.
        names: Names of the classes, also of those without images.
    """
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for each in facts:
        if not each.error:
            counts[each.item.split].update(each.item.classes)
    learned = counts["all" if "all" in counts else "train"]
    anywhere = {name for each in facts for name in each.item.classes}
    missing = [f"{name} in {split}" for split in ("val", "test") if split in counts
               for name in names if learned[name] and not counts[split][name]]  # fmt: skip
    few = [f"{name}: {learned[name]}" for name in names if 0 < learned[name] < FEW]
    alone = [names[0]] if len(names) == 1 and all(each.item.classes == (names[0],) for each in facts) else []
    return [
        *finding("one class", "error", "a single class, so that there is nothing to be learned", alone),
        *finding("not trained", "error", "classes without usable training images",
                 [name for name in names if learned and not learned[name] and name in anywhere]),
        *finding("no image", "warning", "classes that no image has", [name for name in names if name not in anywhere]),
        *finding("missing class", "warning", "classes that a split lacks: nothing is known of their accuracy", missing),
        *finding("few images", "warning", f"classes with fewer than {FEW} training images", few),
        *finding("uneven", "note", f"the largest class has {UNEVEN} times as many training images as the smallest: "
                 "--data.balanced true, and look at more than the accuracy", _uneven(learned)),
    ]  # fmt: skip


def _uneven(counts: Counter[str]) -> list[str]:
    present = {name: count for name, count in counts.items() if count}
    if len(present) < 2 or max(present.values()) < UNEVEN * min(present.values()):
        return []
    largest, smallest = max(present, key=present.__getitem__), min(present, key=present.__getitem__)
    return [f"{largest}: {present[largest]:,}, {smallest}: {present[smallest]:,}"]
