"""How many classes, images and folds each part gets, at the smallest numbers that are possible."""

from itertools import pairwise

import numpy as np
import pytest

from cv_attention.config import Data, Digits
from cv_attention.data.decoding.bit_depth import describe, found_bits
from cv_attention.data.episodes.classes import Classes, divide, hold_out
from cv_attention.data.episodes.drawing import nth_time
from cv_attention.data.selection import folds
from cv_attention.data.several import digits as several
from cv_attention.data.sources import digits, subset
from cv_attention.data.sources.image_set import ImageSet
from cv_attention.data.sources.images import spaced
from cv_attention.data.sources.memory import in_memory
from cv_attention.data.statistics import statistics
from cv_attention.data.stratifying import strata


@pytest.mark.parametrize(("count", "shares", "least", "sizes"), [
    (10, (0.2, 0.25), 1, (6, 2, 2)), (10, (0.01, 0.01), 1, (8, 1, 1)), (10, (0.99, 0.5), 1, (1, 1, 8)),
    (15, (0.2, 0.1), 5, (5, 5, 5)), (16, (0.2, 0.1), 5, (6, 5, 5)), (100, (0.2, 0.1), 5, (72, 8, 20)),
])  # fmt: skip
def test_classes_are_divided_by_their_shares_and_the_least_number(count, shares, least, sizes):
    parts = divide(count, shares, least, seed=3)
    assert tuple(len(parts[name]) for name in ("train", "val", "test")) == sizes
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(count))
    assert all((np.diff(part) > 0).all() for part in parts.values())
    again, other = divide(count, shares, least, seed=3), divide(count, shares, least, seed=4)
    assert all(np.array_equal(parts[name], again[name]) for name in parts)
    assert not all(np.array_equal(parts[name], other[name]) for name in parts)


def test_too_few_classes_are_counted_in_words():
    with pytest.raises(ValueError, match="14 classes cannot be divided between train, val and test with 5 in each; at"):
        divide(14, (0.2, 0.1), 5, 0)
    with pytest.raises(ValueError, match="1 class cannot be divided"):
        divide(1, (0.2, 0.1), 1, 0)
    hold_out(np.arange(10), 0.1, 5)
    with pytest.raises(ValueError, match="9 training classes cannot be divided between train and val with 5 in each"):
        hold_out(np.arange(9), 0.1, 5)


def classes(*counts):
    labels = np.repeat(np.arange(len(counts)), counts)
    images = in_memory(np.zeros((len(labels), 8, 8, 3), np.uint8), labels)
    return Classes.of([f"c{n}" for n in range(len(counts))], images)


def test_classes_without_images_are_none_and_turns_add_up():
    found = classes(3, 0, 2)
    assert (found.names, [len(each) for each in found.members], found.fewest()) == (["c0", "c2"], [3, 2], ("c2", 2))
    turned = found.rotated().rotated()
    assert len(turned) == 32
    every = [(first + second) % 4 for first in range(4) for second in range(4)]
    assert turned.turns.tolist() == every * 2
    assert [len(each) for each in turned.members] == [3] * 16 + [2] * 16


def test_how_often_a_label_was_shown():
    assert nth_time(np.array([5, 0, 5, 5, 0, 1])).tolist() == [1, 1, 2, 3, 2, 1]


@pytest.mark.parametrize(("count", "bins"), [(1, 1), (2, 1), (4, 2), (19, 9), (20, 10), (1000, 10)])
def test_numbers_are_divided_into_tenths_by_their_rank(count, bins):
    values = np.random.default_rng(0).permutation(np.arange(count) ** 3).astype(np.float32)[:, None]
    found = strata(values)
    assert len(np.unique(found)) == bins
    order = np.argsort(values[:, 0])
    assert (np.diff(found[order]) >= 0).all()
    sizes = np.bincount(found)
    assert sizes.max() - sizes.min() <= 1


@pytest.mark.parametrize("number", [1, 4])
def test_as_many_folds_as_the_smallest_class_has_images(number):
    labels = np.array([0] * 6 + [1] * 3)
    for count in (2, 3):
        parts = folds.divide(labels, count, 0)
        assert sorted(np.concatenate(parts).tolist()) == list(range(9))
    with pytest.raises(ValueError, match=rf"and the 3 images of the smallest class \(class 1\), got {number}"):
        folds.divide(labels, number, 0)
    groups = np.array([0, 0, 1, 1, 2, 2, 2, 1, 0])
    assert len(folds.divide(labels, 3, 0, groups)) == 3
    with pytest.raises(ValueError, match="between 2 and the 3 images, got 4"):
        folds.divide(labels, 4, 0, groups)


@pytest.mark.parametrize(("groups", "fraction"), [(1, 0.5), (4, 0.1), (20, 0.02)])
def test_too_few_groups_to_hold_one_out(groups, fraction):
    labels = np.zeros(2 * groups, np.int64)
    with pytest.raises(ValueError, match=f"{groups} groups of training images are too few to hold out {fraction:g}"):
        subset.hold_out(labels, fraction, 0, np.repeat(np.arange(groups), 2))
    _, held = subset.hold_out(np.zeros(10, np.int64), 0.1, 0, np.repeat(np.arange(5), 2))  # half a group: one
    assert len(held) == 2


@pytest.mark.parametrize(("count", "most", "picked"), [
    (3, 256, 3), (256, 256, 256), (511, 256, 511), (512, 256, 256), (1000, 32, 33), (0, 32, 0), (63, 32, 63),
    (64, 32, 32),
])  # fmt: skip
def test_a_sample_is_evenly_spread_and_large_enough(count, most, picked):
    rows = list(range(count))[spaced(count, most)]
    assert len(rows) == picked >= min(count, most)
    assert len({b - a for a, b in pairwise(rows)}) <= 1


def test_as_many_images_are_looked_at_as_are_needed():
    looked = []

    def content(index, most):
        looked.append((index, most))
        return b"\xff\xd8"

    assert found_bits(5000, content) is None
    assert len(looked) == 1024
    assert {0, 4999} <= {index for index, _ in looked}
    assert {most for _, most in looked} == {32}
    assert describe(12) == "images of more than 8 bits: 0 is black and 4,095 white (data.bits 12)"


def test_a_split_tries_eight_images_for_their_size(monkeypatch):
    from cv_attention.data.augmentation.transforms import Pipeline

    images = in_memory(np.zeros((100, 8, 6, 3), np.uint8), np.zeros(100))
    split, tried = ImageSet("val", images, Pipeline([], "data.eval_transforms"), 0), []
    batch = split.batch
    monkeypatch.setattr(split, "batch", lambda draws: tried.extend(draws) or batch(draws))
    draws = [(0, 5), (1, 2), (0, 9), (0, 2)]
    assert split.__getitems__(draws)["index"].tolist() == [5, 2, 9, 2]  # as they were drawn
    tried.clear()
    assert split.size() == (8, 6)
    assert [index for _, index in tried] == [0, 14, 28, 42, 56, 70, 84, 99]


def test_digits_fit_onto_their_canvas():
    digits.check(Digits(canvas=28, digit=24))
    with pytest.raises(ValueError, match="canvas must be at least 28 for digit=24, got 27"):
        digits.check(Digits(canvas=27, digit=24))
    assert digits.enlarged_sizes(24) == list(range(20, 29))
    with pytest.raises(ValueError, match=r"data\.digits: 8,590,000,000 pixels on all canvases are too many"):
        digits.check(Digits(train=839_000, val=10_000, test=10_000, canvas=100))
    with pytest.raises(ValueError, match=r"data\.digits\.least is 3, more than data\.digits\.most, 2"):
        several.draw(Digits(least=3, most=2))


def test_statistics_are_those_of_the_pixels_or_of_the_data_set():
    pixels = np.zeros((2, 4, 4, 3), np.uint8)
    pixels[0] = 255
    images = in_memory(pixels, np.zeros(2))
    assert statistics(Data(name="cluttered_digits"), images) == ((0.5,) * 3, (0.5,) * 3)
    assert statistics(Data(name="folder"), images) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert statistics(Data(name="cifar10"), images)[0] == (0.4914, 0.4822, 0.4465)
    given = statistics(Data(name="cifar100", mean=[0.1, 0.2, 0.3]), images)
    assert given == ((0.1, 0.2, 0.3), (0.2673, 0.2564, 0.2762))
