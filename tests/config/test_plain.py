"""Typed dataclasses rebuilt from the plain values of a file."""

import json
from typing import Any, Literal

import pytest

from cv_attention.config import Data, Experiment, Model, Subset
from cv_attention.config.plain import fits, from_plain


def test_a_configuration_survives_json():
    before = Experiment(
        seed=3, data=Data(subset=Subset(classes=["ant"])), model=Model(block={"name": "cbam", "reduction": 8})
    )
    assert from_plain(Experiment, json.loads(json.dumps(before.to_dict()))) == before


def test_missing_fields_have_their_defaults_and_whole_numbers_are_floats():
    assert from_plain(Experiment, {"optimizer": {"lr": 1}}).optimizer.lr == 1
    assert from_plain(Experiment, {}) == Experiment()
    assert from_plain(Data, {"progressive": {"10": 160}}).progressive == {"10": 160}  # JSON's keys are text


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1], r"^experiment must be a mapping of names to values, got \[1\]$"),
        ({"sed": 1}, r"^experiment has no field 'sed'; did you mean 'seed'\?$"),
        ({"seed": "1"}, r"^experiment.seed must be int, got '1'$"),
        ({"seed": True}, r"^experiment.seed must be int, got True$"),
        ({"data": {"on_error": "ignore"}}, r"^experiment.data.on_error must be raise or skip, got 'ignore'$"),
        ({"data": {"mean": [0.5, "0"]}}, r"^experiment.data.mean must be list(\[float\])? or null, got \[0.5, '0'\]$"),
        ({"data": {"progressive": {"ten": 160}}}, r"^experiment.data.progressive must be dict"),
        ({"model": 3}, r"^experiment.model must be a mapping"),
    ],
)
def test_a_wrong_value_is_named_with_its_place(values, message):
    with pytest.raises(ValueError, match=message):
        from_plain(Experiment, values, "experiment")


NONE, YES, NUMBER, REAL, TEXT, LIST, TABLE = None, True, 2, 0.5, "text", [1, 2], {"a": 1}


@pytest.mark.parametrize(
    ("kind", "accepted"),
    [
        (int, [NUMBER]), (float, [NUMBER, REAL]), (bool, [YES]), (str, [TEXT]), (int | None, [NONE, NUMBER]),
        (float | None, [NONE, NUMBER, REAL]), (int | str, [NUMBER, TEXT]), (list[int], [LIST]), (list[float], [LIST]),
        (list[bool], []), (list[str], []), (dict[str, int], [TABLE]), (dict[str, Any], [TABLE]), (dict[int, int], []),
        (tuple[int, int], [LIST]), (tuple[int, int, int], []), (tuple[float, ...], [LIST]), (tuple[str, ...], []),
        (Literal["text", 2], [TEXT, NUMBER]), (Literal[True], [YES]),
        (Any, [NONE, YES, NUMBER, REAL, TEXT, LIST, TABLE]), (list[int] | dict[str, int], [LIST, TABLE]),
    ],
    ids=str,
)  # fmt: skip
def test_a_value_has_a_type_or_not(kind, accepted):
    """Every value against every kind of field; in YAML, `true` is neither a whole number nor a real one."""
    for value in (NONE, YES, NUMBER, REAL, TEXT, LIST, TABLE):
        assert fits(value, kind) == any(value is one for one in accepted), value


@pytest.mark.parametrize("kind", [list[float], list[int], dict[str, float], tuple[float, ...], dict[str, int]])
def test_true_is_no_number_at_any_depth(kind):
    inside = {"a": True} if kind in (dict[str, float], dict[str, int]) else [1, True]
    assert not fits(inside, kind)
