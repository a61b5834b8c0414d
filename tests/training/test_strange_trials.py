"""Run directories in a study's folder that are another trial's, or somebody else's: none is resumed or counted."""

import shutil

import pytest
import yaml

from cv_attention.config import Experiment
from cv_attention.config.plain import from_plain
from cv_attention.study.design.trials import state
from cv_attention.study.running.worker import _prepared, _Unusable


@pytest.fixture
def trial(tiny_run, tmp_path, monkeypatch):
    """A copy of a run, and the configuration that it was trained with."""
    run = tmp_path / "trial"
    shutil.copytree(tiny_run, run)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "evil.py").write_text("open('PWNED', 'w').close()\n")
    return run, from_plain(Experiment, yaml.safe_load((run / "config.yaml").read_text()))


def edit(run, section, **values):
    config = yaml.safe_load((run / "config.yaml").read_text())
    config[section] = {**config[section], **values}
    (run / "config.yaml").write_text(yaml.safe_dump(config))


@pytest.mark.parametrize(
    ("section", "values"),
    [("model", {"block": {"class_path": "evil.Evil"}}), ("optimizer", {"lr": 0.5}), ("data", {"name": "evil.Data"})],
    ids=["block", "recipe", "data"],
)
def test_a_directory_with_another_configuration_is_not_resumed(trial, tmp_path, section, values):
    run, asked = trial
    edit(run, section, **values)
    with pytest.raises(_Unusable, match=f"config.yaml is of another training run .*{section}"):
        _prepared(asked, run, resumed=True)
    assert not (tmp_path / "PWNED").exists()


def test_a_class_that_the_directory_fills_in_is_not_imported(trial, tmp_path):
    run, _ = trial
    edit(run, "trainer", max_epochs=9)
    asked = from_plain(Experiment, yaml.safe_load((run / "config.yaml").read_text()))
    edit(run, "data", train_transforms=["evil.Turn"])
    with pytest.raises(_Unusable, match=r"evil\.Turn"):
        _prepared(asked, run, resumed=True)
    assert not (tmp_path / "PWNED").exists()


def test_a_finished_run_under_the_name_of_another_trial_is_damaged(trial):
    run, asked = trial
    assert state(run, asked) == ("finished", "")
    other = from_plain(Experiment, {**asked.to_dict(), "seed": asked.seed + 1})
    found, reason = state(run, other)
    assert (found, f"(seed: {asked.seed} -> {asked.seed + 1})" in reason) == ("damaged", True)
    assert state(run)[0] == "finished"
