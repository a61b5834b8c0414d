from itertools import pairwise

import numpy as np
import pytest

from cv_attention.config import Subset
from cv_attention.data.sources.subset import choose_classes, hold_out, thin

NAMES = ["owl", "cat", "dog", "bee", "ant", "fox"]
LABELS = np.random.default_rng(0).permutation(np.repeat(np.arange(4), [5, 10, 40, 1]))


@pytest.mark.parametrize(
    ("subset", "chosen"),
    [
        (Subset(), NAMES),
        (Subset(classes=["dog", "owl"]), ["owl", "dog"]),
        (Subset(num_classes=6), NAMES),
        (Subset(num_classes=3), ["cat", "ant", "fox"]),  # sorted: ant bee cat dog fox owl
        (Subset(num_classes=2), ["dog", "ant"]),  # in the order of the names
        (Subset(classes=["owl", "cat", "dog", "fox"], num_classes=2), ["cat", "fox"]),
    ],
)
def test_classes(subset, chosen):
    assert choose_classes(NAMES, subset) == chosen


@pytest.mark.parametrize(
    ("subset", "message"),
    [
        (Subset(classes=["dgo"]), r"unknown class 'dgo'; did you mean 'dog'"),
        (Subset(classes=["zebra"]), r"unknown class 'zebra'; expected one of owl, cat, dog, bee, ant, fox"),
        (Subset(classes=[]), "empty"),
        (Subset(num_classes=7), "num_classes is 7, but there are 6"),
        (Subset(num_classes=1), "num_classes must be at least 2 or null, got 1"),
        (Subset(per_class=0), "per_class must be at least 1 or null, got 0"),
        (Subset(fraction=1.5), r"fraction must be in \(0, 1\] or null, got 1.5"),
        (Subset(fraction=0.0), "fraction"),
    ],
)
def test_mistakes(subset, message):
    with pytest.raises(ValueError, match=message):
        choose_classes(NAMES, subset)


@pytest.mark.parametrize(
    ("subset", "counts"),
    [
        (Subset(), [5, 10, 40, 1]),
        (Subset(per_class=7), [5, 7, 7, 1]),
        (Subset(fraction=0.5), [2, 5, 20, 1]),
        (Subset(fraction=0.01), [1, 1, 1, 1]),
        (Subset(fraction=0.5, per_class=4), [2, 4, 4, 1]),
    ],
)
def test_images(subset, counts):
    chosen = thin(LABELS, subset)
    assert np.bincount(LABELS[chosen]).tolist() == counts
    assert (np.diff(chosen) > 0).all()
    np.testing.assert_array_equal(chosen, thin(LABELS, subset))


def test_a_smaller_choice_lies_inside_a_larger_one():
    sizes = [set(thin(LABELS, Subset(per_class=n)).tolist()) for n in (1, 3, 8, 30)]
    shares = [set(thin(LABELS, Subset(fraction=f)).tolist()) for f in (0.1, 0.3, 0.8, 1.0)]
    for chain in (sizes, shares):
        for small, large in pairwise(chain):
            assert small < large


def test_the_choice_is_not_just_the_first_images():
    assert thin(np.zeros(1000, int), Subset(per_class=10)).max() > 100


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.9])
def test_held_out_is_disjoint_and_stratified(fraction):
    kept, held = hold_out(LABELS, fraction, seed=0)
    np.testing.assert_array_equal(np.sort(np.concatenate([kept, held])), np.arange(len(LABELS)))
    for label, count in enumerate([5, 10, 40]):
        assert (LABELS[held] == label).sum() == min(max(1, round(count * fraction)), count - 1)
    assert (LABELS[held] != 3).all()  # a class's only image stays in training


def test_held_out_depends_on_the_seed_alone():
    np.testing.assert_array_equal(hold_out(LABELS, 0.2, 3)[1], hold_out(LABELS.copy(), 0.2, 3)[1])
    assert hold_out(LABELS, 0.2, 3)[1].tolist() != hold_out(LABELS, 0.2, 4)[1].tolist()


def test_held_out_is_the_same_on_every_machine():
    assert hold_out(np.repeat([0, 1], 20), 0.1, 0)[1].tolist() == [4, 19, 20, 30]
