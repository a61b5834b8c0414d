"""Tables as text: aligned for pipes, fitted to any terminal without losing a cell, and as Markdown."""

import re
from collections import Counter

import pytest

from cv_attention.tables import markdown_table, text_table

HEADER = ["block", "parameters", "what it does"]
ROWS = [
    ["se", 580, "reweights channels"],
    ["cbam", 13_000, "channels, then positions"],
    ["none", None, "nothing at all"],
]


def test_columns_are_aligned_and_numbers_stand_to_the_right():
    assert text_table(HEADER, ROWS).splitlines() == [
        "block  parameters  what it does",
        "se            580  reweights channels",
        "cbam       13,000  channels, then positions",
        "none            -  nothing at all",
    ]
    assert text_table(["a", "b"], [["x", "1"], None, ["yyy", "22"]], left=1).splitlines() == [
        "a     b", "x     1", "---  --", "yyy  22",
    ]  # fmt: skip
    assert text_table(["a", "b"], [["x\ny", "1"]], left=2).splitlines()[1] == "x y  1"


@pytest.mark.parametrize("width", [5, 12, 20, 24, 30, 40])
@pytest.mark.parametrize("wrap", [[], ["what it does"]])
def test_a_narrow_terminal_loses_nothing(width, wrap):
    narrow = text_table(HEADER, ROWS, width=width, wrap=wrap)
    assert max(map(len, narrow.splitlines())) <= width
    letters = Counter(re.sub(r"\s", "", narrow))
    assert letters >= Counter(re.sub(r"\s", "", text_table(HEADER, ROWS)))


def test_a_cell_that_may_not_be_wrapped_moves_below():
    narrow = text_table(HEADER, ROWS, width=33).splitlines()
    assert narrow == [
        "block  parameters", "se            580", "cbam       13,000", "none            -", "",
        "block  what it does", "se     reweights channels", "cbam   channels, then positions", "none   nothing at all",
    ]  # fmt: skip
    assert text_table(HEADER, ROWS, width=43) == text_table(HEADER, ROWS)


def test_a_cell_that_may_be_wrapped_breaks_between_words():
    narrow = text_table(HEADER, ROWS, width=33, wrap=["what it does"]).splitlines()
    assert narrow[:2] == ["block  parameters  what it does", "se            580  reweights"]
    assert narrow[2].strip() == "channels"


def test_one_column_is_cut_rather_than_lost():
    assert text_table(["name"], [["abcdefgh"]], width=5).splitlines() == ["name", "abcde", "fgh"]


def test_markdown():
    assert markdown_table(["a|b", "n"], [["x", 1], ["y|z", 20_000]]).splitlines() == [
        "| a\\|b |      n |", "| ---- | -----: |", "| x    |      1 |", "| y\\|z | 20,000 |",
    ]  # fmt: skip
    assert markdown_table(["a", "b"], [["1", "2"]], left=1).splitlines()[1] == "| --- | --: |"
