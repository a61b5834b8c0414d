"""Defaults and bounds of every option, written down a second time in `defaults.json`.

A file of an earlier version lacks newer fields, and what it means by that is their default: a default that changes
changes what old runs say. So a change has to be made in two places, and belongs in the changelog.
"""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from cv_attention.config import Experiment, SaliencyExport
from cv_attention.config.bounds import intervals
from cv_attention.config.exports.reading import ReadingExport
from cv_attention.config.exports.recall import RecallExport

TREES = (Experiment, SaliencyExport, ReadingExport, RecallExport)
WRITTEN = json.loads(Path(__file__).with_name("defaults.json").read_text(encoding="utf-8"))


def flat(values, prefix=""):
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


@pytest.mark.parametrize("tree", TREES)
def test_an_option_that_is_not_given_means_what_it_always_meant(tree):
    assert dict(flat(asdict(tree()))) == WRITTEN["defaults"][tree.__name__]


@pytest.mark.parametrize("tree", TREES)
def test_bounds_are_those_that_were_promised(tree):
    assert dict(intervals(tree)) == WRITTEN["bounds"][tree.__name__]
