"""`cv-attention blocks`: what is listed is what is there, and the page in the documents is that list."""

import inspect
import re
from pathlib import Path

import pytest
import torch

from cv_attention import blocks
from cv_attention.blocks import CATALOGUE
from cv_attention.cli import main

PAGE = Path(__file__).parents[2] / "docs" / "blocks.md"


def printed(capsys, *arguments):
    assert main(["blocks", *arguments]) == 0
    return capsys.readouterr().out


def rows(capsys, *arguments):
    """Returns {name: the line's cells}, in order."""
    header, *lines = printed(capsys, *arguments).splitlines()
    # Columns start where the header's words do, or end there.
    assert header.split() == ["name", "family", "year", "map", "parameters", "flops", "elementwise", "title"]
    return {line.split()[0]: line for line in lines}


def test_lists_every_block_with_what_it_costs(capsys):
    listed = rows(capsys, "--shape", "32x7x5")
    assert set(listed) == set(CATALOGUE)
    for name in ("se", "cbam", "vit", "criss_cross"):
        entry, cost = CATALOGUE[name], blocks.cost(name, 32, 7, 5)
        numbers = [int(word.replace(",", "")) for word in listed[name].split() if word.replace(",", "").isdecimal()]
        assert numbers[:4] == [entry.year, cost.parameters, cost.products, cost.elementwise]
        assert listed[name].endswith(entry.title)
        assert entry.family in listed[name].split()


@pytest.mark.parametrize("column", ["name", "family", "year", "map", "parameters", "flops", "elementwise"])
def test_sorts(column, capsys):
    def key(name):
        cost = blocks.cost(name, 16, 3, 3)
        entry = CATALOGUE[name]
        kinds = ", ".join(dict.fromkeys(entry.maps))
        facts = {
            "parameters": cost.parameters,
            "flops": cost.products,
            "elementwise": cost.elementwise,
            "map": kinds,
            "family": entry.family,
        }
        return (facts | {"name": name, "year": entry.year})[column]

    listed = [key(name) for name in rows(capsys, "--shape", "16x3x3", "--sort", column, "--family", "mixed")]
    assert listed == sorted(listed)
    assert len(set(listed)) > 1 or column == "family"


def test_filters_by_family_and_by_kind_of_map(capsys):
    expected = {e.name for e in CATALOGUE.values() if e.family == "mixed" and "joint" in e.maps}
    assert set(rows(capsys, "--family", "mixed", "--map", "joint", "--shape", "8x3x3")) == expected
    assert "cbam" not in expected
    assert "triplet" in expected


def test_a_block_that_does_not_take_the_channels_is_listed_without_costs(capsys):
    listed = rows(capsys, "--shape", "9x3x3", "--sort", "flops")
    assert set(listed) == set(CATALOGUE)
    refusing = {name for name, line in listed.items() if line.split().count("-") == 3}
    assert {"shuffle", "vit"} <= refusing
    assert "cbam" not in refusing
    assert set(list(listed)[-len(refusing) :]) == refusing


@pytest.mark.parametrize("name", ["cbam", "non_local", "vit"])
def test_shows_one_block_in_full(name, capsys):
    shown = printed(capsys, name, "--shape", "64x14x14")
    entry, cost = CATALOGUE[name], blocks.cost(name, 64, 14, 14)
    for fact in (
        entry.title,
        entry.paper,
        str(entry.year),
        f"{cost.parameters:,} parameters",
        f"{cost.products:,} FLOPs",
    ):
        assert fact in shown
    assert inspect.getdoc(entry.cls) in shown
    for option in list(inspect.signature(entry.cls).parameters)[1:]:
        assert f"{option}: " in shown


def test_one_block_says_why_it_does_not_take_the_channels(capsys):
    assert "channels=30, heads=4" in printed(capsys, "vit", "--shape", "30x7x7")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--family", "chanel"], ["chanel", "channel"]),
        (["--map", "spacial"], ["spacial", "spatial"]),
        (["--sort", "yaer"], ["yaer", "year"]),
        (["--family", "channel", "--map", "alignment"], ["channel", "alignment"]),
        (["--shape", "64x0x7"], ["64x0x7", "64x56x56"]),
    ],
    ids=str,
)
def test_a_mistake_is_one_line(arguments, words, capsys):
    assert main(["blocks", *arguments]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert all(word in told.err for word in words), told.err


def test_the_page_in_the_documents_is_fresh(capsys):
    command = "python -m cv_attention.cli blocks --markdown > docs/blocks.md"
    assert f"`{command}`" in PAGE.read_text()
    shown, page = printed(capsys, "--markdown"), PAGE.read_text()
    if torch.__version__ < "2.12":  # whose autograd keeps less of some operations
        shown, page = (re.sub(r" [\d,]+ \|$", "", text, flags=re.MULTILINE) for text in (shown, page))
    assert shown == page, f"stale; run {command}"
