"""What can be the facts of a network and what cannot, on both sides of each bound."""

import math
from dataclasses import replace

import pytest

from cv_attention.rundir.facts import DataFacts, EpisodeFacts, ImageFacts, LabelFacts, TextFacts, ValueFacts

HALF, FIFTH = (0.5, 0.4, 0.3), (0.2, 0.3, 0.1)
IMAGES = ImageFacts(HALF, FIFTH, (24, 40))
CLASSES = DataFacts(("ant", "bee"), HALF, FIFTH, (24, 40), class_counts=(0, 7), images=7)
LABELS = LabelFacts(("ant", "bee"), HALF, FIFTH, (24, 40), thresholds=(0.0, 1.0))
VALUES = ValueFacts(("age", "weight"), HALF, FIFTH, (24, 40), centre=(0.0, -3.0), scale=(1e-9, 2.0))
TEXTS = TextFacts(("a", "b"), "character", 8, HALF, FIFTH, (24, 40))
EPISODES = EpisodeFacts("classify", 5, 20, HALF, FIFTH, (24, 40))
ALL = (IMAGES, CLASSES, LABELS, VALUES, TEXTS, EPISODES)
OF_IMAGES = r"facts.mean and facts.std must be finite and std not 0, got "


@pytest.mark.parametrize("facts", ALL, ids=lambda facts: type(facts).__name__)
class TestOfEveryNetwork:
    def test_sides_and_statistics_at_their_bounds_are_accepted(self, facts):
        for size in [(24, 40), (1, 16_384), (16_384, 1)]:
            replace(facts, image_size=size).check()
        replace(facts, mean=(0.0, -2.0, 3.0), std=(1e-9, 5.0, 0.1)).check()  # 0 is a mean like any other

    @pytest.mark.parametrize("size", [(0, 40), (24, 0), (-1, 40), (24, 16_385), (16_385, 24), (24.0, 40), (24, "40")])
    def test_sides_beyond_them_are_refused(self, facts, size):
        with pytest.raises(ValueError, match=f"at most 16384 pixels a side, got {size[0]} x {size[1]}"):
            replace(facts, image_size=size).check()

    @pytest.mark.parametrize("place", range(3))
    @pytest.mark.parametrize(("name", "value"), [
        ("mean", math.nan), ("mean", math.inf), ("std", math.nan), ("std", -math.inf), ("std", 0.0), ("std", -0.0),
    ])  # fmt: skip
    def test_one_channel_that_divides_by_nothing_is_enough(self, facts, name, value, place):
        values = [*getattr(facts, name)]
        values[place] = value
        with pytest.raises(ValueError, match=OF_IMAGES):
            replace(facts, **{name: tuple(values)}).check()


ACCEPTED = {
    "one class": replace(CLASSES, class_names=("ant",), class_counts=()),
    "thresholds between": replace(LABELS, thresholds=(0.25, 0.5)),
    "no thresholds yet": replace(LABELS, thresholds=()),
    "the shortest text": replace(TEXTS, longest=1),
    "the longest text": replace(TEXTS, longest=10_000),
    "the fewest ways": replace(EPISODES, ways=1, length=1),
    "the most ways": replace(EPISODES, ways=10_000, length=10_000),
    "copying": replace(EPISODES, kind="copy"),
    "associating": replace(EPISODES, kind="associate"),
}

REFUSED = {
    "no class": (replace(CLASSES, class_names=()), "facts.class_names must name classes, got none"),
    "fewer images than none": (replace(CLASSES, class_counts=(3, -1)), "must be numbers of images, got -1"),
    "no class of several": (replace(LABELS, class_names=()), "facts.class_names must name classes, got none"),
    "a threshold too few": (replace(LABELS, thresholds=(0.5,)), "facts.thresholds must be one for each class, got 1"),
    "one too many": (replace(LABELS, thresholds=(0.5,) * 3), "facts.thresholds must be one for each class, got 3"),
    "a threshold below 0": (replace(LABELS, thresholds=(0.5, -1e-6)), r"facts.thresholds must be in \[0, 1\]"),
    "a threshold above 1": (replace(LABELS, thresholds=(1.000001, 0.5)), r"facts.thresholds must be in \[0, 1\]"),
    "a threshold of NaN": (replace(LABELS, thresholds=(0.5, math.nan)), r"facts.thresholds must be in \[0, 1\]"),
    "no number": (replace(VALUES, value_names=(), centre=(), scale=()), "a name, a centre and a scale for each"),
    "a centre too few": (replace(VALUES, centre=(0.0,)), "a name, a centre and a scale for each"),
    "a scale too many": (replace(VALUES, scale=(1.0, 1.0, 1.0)), "a name, a centre and a scale for each"),
    "a scale of 0": (replace(VALUES, scale=(1.0, 0.0)), "must be finite, and the scale above 0"),
    "a scale below 0": (replace(VALUES, scale=(1.0, -1.0)), "must be finite, and the scale above 0"),
    "an endless scale": (replace(VALUES, scale=(math.inf, 1.0)), "must be finite, and the scale above 0"),
    "a centre of NaN": (replace(VALUES, centre=(math.nan, 0.0)), "must be finite, and the scale above 0"),
    "no text": (replace(TEXTS, longest=0), "facts.longest must be 1 to 10,000 units, got 0"),
    "a text too long": (replace(TEXTS, longest=10_001), "facts.longest must be 1 to 10,000 units, got 10001"),
    "an alphabet twice": (replace(TEXTS, units=("a", "a")), "a"),
    "another kind": (replace(EPISODES, kind="sort"), "facts.kind must be classify, copy or associate, got 'sort'"),
    "no way": (replace(EPISODES, ways=0), "facts.ways must be 1 to 10,000, got 0"),
    "too many ways": (replace(EPISODES, ways=10_001), "facts.ways must be 1 to 10,000, got 10001"),
    "no image": (replace(EPISODES, length=0), "facts.length must be 1 to 10,000, got 0"),
    "too many images": (replace(EPISODES, length=10_001), "facts.length must be 1 to 10,000, got 10001"),
}  # fmt: skip


@pytest.mark.parametrize("facts", [*ALL, *ACCEPTED.values()])
def test_what_a_network_may_know(facts):
    facts.check()


@pytest.mark.parametrize(("facts", "message"), REFUSED.values(), ids=REFUSED)
def test_what_none_can_know_is_named(facts, message):
    with pytest.raises(ValueError, match=message):
        facts.check()
