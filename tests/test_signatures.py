"""Signatures are short enough to read: long unions show their names."""

import inspect
import re

import pytest

import cv_attention as cva
from cv_attention.saliency import METHODS

FUNCTIONS = {"plan": cva.plan, "insert": cva.insert, "record": cva.record, **METHODS}


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_unions_are_named(function):
    shown = str(inspect.signature(function))
    assert "collections.abc.Mapping" not in shown
    assert len(max(shown.partition(" -> ")[0].split(", "), key=len)) < 80, "name the union, see `Targets`"


def test_the_signature_of_plan_is_this():
    parameters = inspect.signature(cva.plan).parameters
    # Python 3.11 writes an optional alias in another way.
    shown = {
        name: re.sub(r"Optional\[(\w+)\]", r"\1 | None", str(p)) for name, p in parameters.items() if name != "model"
    }
    assert shown == {
        "block": "block: Blocks",
        "at": "at: At = 'residual'",
        "init": "init: Init = 'plain'",
        "input_size": "input_size: InputSize | None = None",
        "example_inputs": "example_inputs: Any = None",
        "train": "train: Train = 'all'",
        "head": "head: Globs | None = None",
    }
