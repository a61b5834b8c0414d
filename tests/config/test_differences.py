"""The lines that name the differences between two configurations."""

import pytest

from cv_attention.config import Experiment, Optimizer
from cv_attention.config.differences import differences


@pytest.mark.parametrize(
    ("before", "now", "lines"),
    [
        ({"lr": 0.1}, {"lr": 0.1}, []),
        ({"lr": 0.1, "gone": 1}, {"lr": 0.05}, ["lr: 0.1 -> 0.05"]),
        ({"lr": 0.1}, {"lr": 0.1, "new": 2}, []),
        ({"model": {"block": None}}, {"model": {"block": {"name": "se"}}}, ['model.block: null -> {"name": "se"}']),
    ],
)
def test_differences(before, now, lines):
    assert differences(before, now) == lines


def test_of_whole_experiments():
    before, now = Experiment(), Experiment(seed=3, optimizer=Optimizer(name="adamw"))
    assert differences(before.to_dict(), now.to_dict()) == ["seed: 0 -> 3", 'optimizer.name: "sgd" -> "adamw"']
