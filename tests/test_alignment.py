"""Aligning what was read with the truth, against torchmetrics, and against every possible alignment."""

import itertools
import random

import pytest
from torchmetrics.functional.text import edit_distance

from cv_attention.alignment import align, edits, error_rate


def texts(count, longest, letters, seed):
    generator = random.Random(seed)
    return ["".join(generator.choices(letters, k=generator.randint(0, longest))) for _ in range(count)]


def rebuilt(pairs, read, true):
    """What the kinds of an alignment make of a truth: the edits applied."""
    made = []
    for pair in pairs:
        if pair.kind == "match":
            made.append(true[pair.true])
        elif pair.kind != "deletion":
            made.append(read[pair.read])
    return "".join(made)


def test_the_number_of_edits_is_the_edit_distance():
    for read, true in zip(texts(200, 12, "abc", 0), texts(200, 12, "abc", 1), strict=True):
        assert edits(align(read, true)) == edit_distance([read], [true], reduction="sum")


def test_every_unit_is_aligned_once_in_order_and_the_edits_make_the_reading_of_the_truth():
    for read, true in zip(texts(200, 8, "ab", 2), texts(200, 8, "ab", 3), strict=True):
        pairs = align(read, true)
        assert [pair.read for pair in pairs if pair.read is not None] == list(range(len(read)))
        assert [pair.true for pair in pairs if pair.true is not None] == list(range(len(true)))
        assert rebuilt(pairs, read, true) == read
        for pair in pairs:
            assert (pair.read is None) == (pair.kind == "deletion")
            assert (pair.true is None) == (pair.kind == "insertion")
            if pair.read is not None and pair.true is not None:
                assert (read[pair.read] == true[pair.true]) == (pair.kind == "match")


def paths(i, j):
    """All alignments of i units with j, as kinds of steps."""
    if i == 0 and j == 0:
        return [()]
    found = [(*path, "both") for path in paths(i - 1, j - 1)] if i and j else []
    found += [(*path, "read") for path in paths(i - 1, j)] if i else []
    return found + ([(*path, "true") for path in paths(i, j - 1)] if j else [])


def cost(path, read, true):
    i = j = total = 0
    for step in path:
        if step == "both":
            total += read[i] != true[j]
        else:
            total += 1
        i, j = i + (step != "true"), j + (step != "read")
    return total


def test_no_alignment_has_fewer_edits():
    short = ["".join(letters) for length in range(4) for letters in itertools.product("ab", repeat=length)]
    for read, true in itertools.product(short, repeat=2):
        assert edits(align(read, true)) == min(cost(path, read, true) for path in paths(len(read), len(true)))


@pytest.mark.parametrize(
    ("read", "true", "kinds"),
    [
        ("", "", []),
        ("7", "7", ["match"]),
        ("12", "", ["insertion", "insertion"]),
        ("", "12", ["deletion", "deletion"]),
        ("1257", "127", ["match", "match", "insertion", "match"]),
        ("17", "127", ["match", "deletion", "match"]),
        ("197", "127", ["match", "substitution", "match"]),
        ("kitten", "sitting", ["substitution", *["match"] * 3, "substitution", "match", "deletion"]),
    ],
)
def test_by_hand(read, true, kinds):
    assert [pair.kind for pair in align(read, true)] == kinds


def test_words_are_aligned_as_units():
    pairs = align(["two", "big", "dogs"], ["two", "dogs", "run"])
    assert [pair.kind for pair in pairs] == ["match", "substitution", "substitution"]
    assert error_rate(["two", "big", "dogs"], ["two", "dogs", "run"]) == pytest.approx(2 / 3)
