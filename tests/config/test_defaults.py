"""Defaults and bounds of every option, written down a second time in `defaults.json`.

A file of an earlier version lacks newer fields, and what it means by that is their default: a default that changes
changes what old runs say. So a change is made in two places, and is named in the changelog. New fields are added by

    python -m tests.config.test_defaults > tests/config/defaults.json
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
WRITTEN = Path(__file__).with_name("defaults.json")


def flat(values, prefix=""):
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def defaults(tree):
    return dict(flat(asdict(tree())))


@pytest.mark.parametrize("tree", TREES)
@pytest.mark.parametrize("kind", ["defaults", "bounds"])
def test_an_option_means_what_it_always_meant(tree, kind):
    written = json.loads(WRITTEN.read_text(encoding="utf-8"))
    known = written["defaults"][tree.__name__]  # newer fields are not compared
    found = {"defaults": defaults(tree), "bounds": dict(intervals(tree))}[kind]
    assert {name: value for name, value in found.items() if name in known} == written[kind][tree.__name__]


if __name__ == "__main__":
    every = {"defaults": {tree.__name__: defaults(tree) for tree in TREES}}
    every["bounds"] = {tree.__name__: dict(intervals(tree)) for tree in TREES}
    print(json.dumps(every, indent=1))
