"""Which run ``--resume auto`` resumes, among run directories written by hand."""

import json
import os
from pathlib import Path

import pytest
import yaml

from cv_attention.cli import main
from cv_attention.cli.resuming import choose
from cv_attention.config import Experiment, Log, Model, Trainer
from cv_attention.rundir import summary as summaries


def requested(root: Path, block: str | None = None, epochs: int = 10) -> Experiment:
    return Experiment(
        log=Log(root=str(root), name="mine"), model=Model(block=block), trainer=Trainer(max_epochs=epochs)
    )


def write(root: Path, name: str, saved: float | None, *, finished: bool = False, **fields) -> Path:
    """A run whose last checkpoint was written at `saved`, in seconds; None: it has none."""
    run = root / name
    (run / "checkpoints").mkdir(parents=True)
    (run / "config.yaml").write_text(yaml.safe_dump(requested(root, **fields).to_dict()))
    summary = {"test": {"accuracy": 0.5}, "finished": True} if finished else {}
    (run / "summary.json").write_text(json.dumps(summary))
    if saved is not None:
        (run / "checkpoints/last.ckpt").touch()
        os.utime(run / "checkpoints/last.ckpt", (saved, saved))
    return run


@pytest.mark.parametrize("newest", ["mine", "mine-2", "mine-3"])
def test_the_unfinished_run_that_was_saved_last_is_resumed(newest, tmp_path):
    for name in ("mine", "mine-2", "mine-3"):
        write(tmp_path, name, saved=2e9 if name == newest else 1e9)
    assert choose(requested(tmp_path)).run == tmp_path / newest


def test_an_unfinished_run_comes_before_a_finished_one(tmp_path):
    write(tmp_path, "mine", saved=2e9, finished=True)
    waiting = write(tmp_path, "mine-2", saved=1e9)
    assert choose(requested(tmp_path)).run == waiting


def test_other_models_and_names_are_left_alone(tmp_path):
    write(tmp_path, "mine", saved=3e9, block="se")
    write(tmp_path, "mine-too", saved=2e9)
    choice = choose(requested(tmp_path))
    assert choice.run is None
    assert choice.notice == "no unfinished run of this name and model; starting a new run"


def test_a_finished_run_ends_the_command_unless_more_epochs_are_asked_for(tmp_path):
    run = write(tmp_path, "mine", saved=1e9, finished=True)
    assert choose(requested(tmp_path)).finished
    longer = choose(requested(tmp_path, epochs=11))
    assert (longer.run, longer.finished) == (run, False)


def test_a_run_without_a_checkpoint_is_named(tmp_path):
    run = write(tmp_path, "mine", saved=None)
    assert choose(requested(tmp_path)).notice == f"{run} has no checkpoint yet; starting a new run"


@pytest.mark.parametrize("text", ["", "seed: 0\n", "seed: [\n", "model: {backbone: null}\n"])
def test_a_run_whose_configuration_has_changed_is_left_alone_and_named(text, tmp_path):
    """Read as it is, one cut short would say that the run has finished the default number of epochs."""
    run = write(tmp_path, "mine", saved=1e9, finished=True, epochs=2)
    summaries.update(run, files=summaries.checksums(run))
    assert choose(requested(tmp_path, epochs=2)).finished
    (run / "config.yaml").write_text(text)
    choice = choose(requested(tmp_path, epochs=2))
    assert (choice.run, choice.finished) == (None, False)
    assert choice.warnings == (f"{run}: config.yaml has changed since it was written, so this run is left alone",)


@pytest.mark.parametrize(("field", "value"), [("batch_size", None), ("workers", -1)])
def test_a_wrong_value_in_the_configuration_of_the_run_is_named_with_its_file(field, value, tmp_path, capsys):
    run = write(tmp_path, "mine", saved=1e9)
    content = yaml.safe_load((run / "config.yaml").read_text())
    content["data"][field] = value
    (run / "config.yaml").write_text(yaml.safe_dump(content))
    assert main(["fit", "--resume", str(run)]) == 2
    assert f"error: {run}/config.yaml: data.{field} must" in capsys.readouterr().err
    assert main(["fit", "--resume", str(run), f"--data.{field}=-7"]) == 2
    assert f"error: data.{field} must be" in capsys.readouterr().err
