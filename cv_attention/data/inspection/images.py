"""Finds images that are broken or unusual, one by one or as a split."""

from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from cv_attention.data.inspection.facts import Facts
from cv_attention.data.inspection.findings import Finding, finding

TINY = 16  # pixels
LARGE = 50_000_000  # pixels
LONG = 8  # times as long as wide
APART = 0.1  # difference of mean brightness between splits
_TRAITS = {
    "transparent": "images with transparency are blended over white",
    "deep": "images of more than 8 bits among others; data.bits says what is white",
    "cmyk": "images in CMYK are converted without their colour profile",
    "turned": "images that EXIF turns are turned upright",
    "animated": "of animations and files of several pages only the first is used",
    "cut": "JPEG files that end in plain grey, as those that have lost their end",
    "misnamed": "files of another kind than their extension says",
}


def of_images(facts: Sequence[Facts]) -> list[Finding]:
    """Lists broken, constant, tiny, huge and long images, files of unusual kinds, and splits of other brightness.

    Args:
        facts: What is known of each image.
    """
    broken = [each for each in facts if each.error]
    found = finding(
        "broken", "error", "broken images; remove them, or --data.on_error skip", [_because(each) for each in broken]
    )
    usable = [each for each in facts if not each.error]
    sides = np.array([min(each.height, each.width) for each in usable] or [1])
    tiny = min(TINY, float(np.median(sides)) / 4)
    rules: list[tuple[str, str, Callable[[Facts], bool]]] = [
        ("constant", "images of a single colour", _is_constant),
        ("tiny", "images far smaller than the others", lambda each: min(each.height, each.width) < tiny),
        ("large", f"images of more than {LARGE:,} pixels are slow to read: --data.cache", _is_large),
        ("long", f"images more than {LONG} times as long as wide are mostly cropped away", _is_long),
    ]
    for kind, text, rule in rules:
        found += finding(kind, "warning", text, [each.item.name for each in usable if rule(each)])
    for trait, text in _TRAITS.items():
        own = [each for each in usable if trait in each.traits]
        if trait == "deep" and len(own) == len(usable):  # nothing unusual
            continue
        severity = "warning" if trait in ("deep", "cmyk", "cut") else "note"
        found += finding(trait, severity, text, [each.item.name for each in own])
    grey = [each.item.name for each in usable if each.grey and not _is_constant(each)]
    if 0 < len(grey) <= len(usable) / 2:
        found += finding("grey", "note", "images without colour among coloured ones", grey)
    return found + finding(
        "splits differ", "warning", "splits differ in brightness by more than a tenth", _apart(usable)
    )


def _because(facts: Facts) -> str:
    return facts.error if facts.item.name in facts.error else f"{facts.item.name}: {facts.error}"


def _is_constant(facts: Facts) -> bool:
    return all(square - mean**2 < 1e-7 for mean, square in zip(facts.mean, facts.square, strict=True))


def _is_large(facts: Facts) -> bool:
    return facts.height * facts.width > LARGE


def _is_long(facts: Facts) -> bool:
    return max(facts.height, facts.width) > LONG * min(facts.height, facts.width)


def _apart(facts: Sequence[Facts]) -> list[str]:
    by_split = defaultdict(list)
    for each in facts:
        by_split[each.item.split].append(float(np.mean(each.mean)))
    means = {split: float(np.mean(values)) for split, values in by_split.items()}
    return [
        f"{split} {mean:.2f}, train {means['train']:.2f}"
        for split, mean in means.items()
        if "train" in means and abs(mean - means["train"]) > APART
    ]
