"""Typed dataclasses rebuilt from the plain values of a file."""

import json

import pytest

from cv_attention.config import Data, Experiment, Model, Subset
from cv_attention.config.plain import from_plain


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
