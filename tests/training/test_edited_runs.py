"""Runs that somebody has edited: one line names the file, and nothing goes on silently without a part of it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from cv_attention.cli import main
from cv_attention.rundir import Damaged
from cv_attention.training.checkpoint.resumable import check_parts
from cv_attention.training.tasks.classifier import Classifier
from tests.quick import quick_first


@pytest.fixture
def run(tiny_run, tmp_path) -> Path:
    return shutil.copytree(tiny_run, tmp_path / "run", ignore=shutil.ignore_patterns("report", "wandb", ".lock"))


def resumed(run: Path, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert main(["fit", "--resume", str(run)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1, error
    return error


SUMMARIES = {
    "text": ({"test": {"accuracy": "high"}}, "test.accuracy must be a number, got 'high'"),
    "a list": ({"test": [1]}, "test must be a mapping of names to values, got [1]"),
    "true": ({"test": {"accuracy": True}}, "test.accuracy must be a number, got True"),
    "null": ({"test": {"accuracy": None}}, "test.accuracy must be a number, got None"),
    "nothing selected": ({"selected": None}, "selected must be a mapping of names to values, got None"),
    "no epoch": ({"selected": {"reason": "x"}}, "selected.epoch must be text, got None"),
    "a duration in words": ({"training_seconds": "long"}, "training_seconds must be a number, got 'long'"),
    "blocks": ({"in_use": {"blocks": [1], "images": 1, "predictions_changed": 0.5}}, "in_use.blocks must each have"),
    "no blocks": ({"in_use": {"images": 1}}, "in_use.blocks must be a list, got None"),
    "left out": ({"left_out": {"train": 3}}, "left_out.train must be a list of reasons, got 3"),
}


@pytest.mark.parametrize(("values", "words"), quick_first(SUMMARIES.values(), 4), ids=SUMMARIES)
def test_a_summary_with_other_kinds_of_values(values, words, run, capsys):
    path = run / "summary.json"
    content = {**json.loads(path.read_text()), "finished": False, **values}
    content.pop("sha256")
    path.write_text(json.dumps(content))
    assert f"{path}: {words}" in resumed(run, capsys)


@pytest.mark.parametrize("value", [None, "2", [2]])
def test_a_configuration_that_does_not_say_how_long_was_trained(value, run, capsys):
    path, config = run / "summary.json", run / "config.yaml"
    content = {**json.loads(path.read_text()), "finished": False}
    content.pop("sha256")
    path.write_text(json.dumps(content))
    plain = yaml.safe_load(config.read_text())
    plain["trainer"].pop("max_epochs")
    config.write_text(yaml.safe_dump(plain | ({"trainer": value} if value else {})))
    assert str(config) in resumed(run, capsys)


EXTRAS = {
    "a limit in words": ({"limit_train_batches": "many"}, "limit_train_batches must be a number, got 'many'"),
    "another limit": ({"limit_val_batches": [1]}, "limit_val_batches must be a number, got [1]"),
    "no logger": ({"logger": [1]}, "logger must be true, false or a list of Lightning's loggers, got [1]"),
    "no callback": ({"callbacks": ["x"]}, "callbacks must be a list of Lightning's callbacks, got ['x']"),
    "a profiler": ({"profiler": "pytorch"}, "profiler is pytorch, which fails without a step to profile"),
}


@pytest.mark.parametrize(("extra", "words"), quick_first(EXTRAS.values(), 3), ids=EXTRAS)
def test_values_that_lightning_fails_with_later(extra, words, run, capsys):
    path, config = run / "summary.json", run / "config.yaml"
    content = json.loads(path.read_text())
    kept = {k: v for k, v in content.items() if k not in ("sha256", "test", "selected", "finished", "files")}
    path.write_text(json.dumps(kept))
    plain = yaml.safe_load(config.read_text())
    plain["trainer"]["extra"] = extra
    config.write_text(yaml.safe_dump(plain))
    assert f"trainer.extra: {words}" in resumed(run, capsys)


PARTS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "no loops": (lambda c: c.update(loops={}), "loops.fit_loop"),
    "half a loop": (lambda c: c["loops"]["fit_loop"].pop("epoch_loop.val_loop.batch_progress"), "val_loop"),
    "no facts": (lambda c: c.update(facts={}), "its facts lack some of class_names"),
    "no classes": (lambda c: c["facts"].update(class_names=[]), "must name classes"),
    "no callbacks": (lambda c: c.update(callbacks={}), "callbacks.Checkpoints"),
    "no optimizer": (lambda c: c.update(optimizer_states=[]), "optimizer_states"),
    "an empty optimizer": (lambda c: c.update(optimizer_states=[{}]), "optimizer_states"),
    "no schedule": (lambda c: c.update(lr_schedulers=[]), "lr_schedulers"),
    "no generators": (lambda c: c.pop("random_states"), "random_states"),
    "empty generators": (lambda c: c.update(random_states=[]), "random_states"),
    "no version": (lambda c: c.pop("pytorch-lightning_version"), "pytorch-lightning_version"),
    "no provenance": (lambda c: c.update(provenance=3), "provenance"),
    "a step in words": (lambda c: c.update(global_step="3"), "global_step"),
}


@pytest.mark.parametrize(("change", "words"), PARTS.values(), ids=PARTS)
def test_a_checkpoint_without_a_part_is_not_gone_on_from(change, words, tiny_run):
    path = tiny_run / "checkpoints/last.ckpt"
    content = torch.load(path, weights_only=True)
    check_parts(content, path, Classifier)
    change(content)
    with pytest.raises(Damaged, match=words) as error:
        check_parts(content, path, Classifier)
    assert str(error.value).startswith(f"{path} is damaged: ")
    assert "\n" not in str(error.value)


def test_the_part_that_lacks_is_named_where_no_other_checkpoint_is_left(run, capsys):
    path = run / "checkpoints/last.ckpt"
    (run / "checkpoints/previous.ckpt").unlink()
    content = torch.load(path, weights_only=True)
    content.pop("sha256")
    torch.save({**content, "optimizer_states": []}, path)
    assert main(["fit", "--resume", str(run), "--trainer.max_epochs=3"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"{path} is damaged: its optimizer_states must hold" in error
    assert "(renamed to last.ckpt.torn), so there is no checkpoint to resume from" in error
