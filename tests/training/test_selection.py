"""Which epoch's network counts: the best by validation, or the last where validation cannot tell."""

import csv
import errno
import json
from itertools import pairwise
from math import sqrt
from types import SimpleNamespace
from typing import Any

import lightning
import pytest
import torch

from cv_attention import training
from cv_attention.cli import main
from cv_attention.config import Log
from cv_attention.training.checkpoint import saving
from cv_attention.training.checkpoint.saving import Checkpoints
from cv_attention.training.tasks.selection import SMALL, Criterion, by_accuracy, select, standard_error
from tests.quick import quick_first, quick_only


@pytest.mark.parametrize(
    ("wish", "best", "last", "images", "epoch"),
    [
        ("auto", 23 / 24, 21 / 24, 24, "last"),  # the case that cost five points of test accuracy
        ("auto", 1.0, 22 / 24, 24, "last"),  # all correct is not certainty
        ("auto", 23 / 24, 12 / 24, 24, "best"),  # broke down
        ("auto", 0.9, 0.88, 5000, "best"),
        ("auto", 0.9, 0.9, 5000, "best"),
        ("best", 23 / 24, 21 / 24, 24, "best"),
        ("last", 0.9, 0.5, 5000, "last"),
        ("auto", None, None, 24, "last"),
        ("best", None, None, 24, "last"),
    ],
)
def test_the_epoch_that_counts(wish, best, last, images, epoch):
    found = select(wish, best, last, lambda best, last: by_accuracy(best, last, images))
    assert found.epoch == epoch
    assert found.reason


def test_a_criterion_knows_its_direction():
    accuracy, error = Criterion("accuracy"), Criterion("error", higher_is_better=False)
    assert accuracy.is_better(0.6, 0.5)
    assert error.is_better(0.5, 0.6)
    for criterion in (accuracy, error):
        assert not criterion.is_better(0.5, 0.5)
        assert not criterion.is_better(float("nan"), 0.5)
    assert (accuracy.worse_of(0.5, 0.6), error.worse_of(0.5, 0.6)) == (0.5, 0.6)


def test_a_standard_error_is_the_binomials_of_a_slightly_worse_result():
    for right, images in ((12, 24), (90, 100), (9000, 10_000)):
        p = (right + 2) / (images + 4)
        assert standard_error(right / images, images) == pytest.approx(sqrt(p * (1 - p) / (images + 4)))
    assert 0.03 < standard_error(1.0, 24) < 0.06
    errors = [standard_error(0.9, images) for images in (24, 100, 1000, 10_000)]
    assert all(before > after for before, after in pairwise(errors))
    assert errors[2] < SMALL < errors[1]


def test_a_small_split_takes_the_last_epoch_and_says_so(tiny_run, tiny_summary, capsys):
    """20 validation images: best.ckpt is the last epoch's, the summary says why, and `test` finds the same."""
    assert tiny_summary["selected"]["epoch"] == "last"
    assert "20 validation images" in tiny_summary["selected"]["reason"]
    best, last = (torch.load(tiny_run / f"checkpoints/{name}.ckpt", weights_only=True) for name in ("best", "last"))
    assert best["epoch"] == last["epoch"] == 1
    assert main(["test", str(tiny_run)]) == 0
    assert f"test accuracy: {tiny_summary['test']['accuracy']:.4f}" in capsys.readouterr().out


@pytest.mark.parametrize("wish", quick_first(["best", "last"]))
def test_the_wish_counts(wish, tiny_options, tmp_path):
    """At rate 0 every epoch is as good as the first: the best is the first of them, the last is the last."""
    options = [
        *tiny_options, f"--trainer.select={wish}", "--optimizer.lr=1e-9", "--log.wandb=disabled", "--log.maps_every=0",
        f"--log.root={tmp_path}", "--log.name=run", "--trainer.max_epochs=2",
    ]  # fmt: skip
    assert main(["fit", *options]) == 0
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    assert summary["selected"] == {"epoch": wish, "reason": f"trainer.select is {wish}"}
    epoch = torch.load(tmp_path / "run/checkpoints/best.ckpt", weights_only=True)["epoch"]
    validated = [row["epoch"] for row in _validations(tmp_path / "run")]
    assert epoch == (validated[-1] if wish == "last" else _first_best(tmp_path / "run"))


def _validations(run):
    with (run / "metrics/0/metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    return [{"epoch": int(row["epoch"]), "accuracy": float(row["val_accuracy"])} for row in rows if row["val_accuracy"]]


def _first_best(run):
    return max(_validations(run), key=lambda row: (row["accuracy"], -row["epoch"]))["epoch"]


def test_a_training_without_a_validation_is_tested_on_its_last_epoch(tiny_options, tmp_path):
    options = [*tiny_options, "--log.wandb=disabled", "--log.maps_every=0", f"--log.root={tmp_path}", "--log.name=run"]
    extra = "--trainer.extra={enable_progress_bar: false, limit_val_batches: 0}"
    assert main(["fit", *options, extra]) == 0
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    assert summary["selected"] == {"epoch": "last", "reason": "no epoch was validated"}
    assert 0 <= summary["test"]["accuracy"] <= 1


# 20 images in batches of 8, 8 and 4
@pytest.mark.parametrize(
    ("limit", "images"), quick_only([("2", 16)], [("1.0", 20), ("2", 16), ("3", 20), ("0.4", 8), ("1000", 20)])
)
def test_only_images_that_were_validated_count_as_evidence(limit, images, tiny_options, tmp_path):
    options = [*tiny_options, "--data.batch_size=8", "--log.maps_every=0", f"--log.root={tmp_path}"]
    extra = f"--trainer.extra={{enable_progress_bar: false, limit_val_batches: {limit}}}"
    assert main(["fit", *options, "--log.wandb=disabled", "--log.name=run", "--trainer.max_epochs=1", extra]) == 0
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    assert summary["selected"]["reason"].startswith(f"{images} validation images give")


def test_the_seconds_of_all_parts_of_a_run_count(tmp_path, monkeypatch):
    """Three parts of 10, 5 and 2 seconds, each resumed from the state of the one before."""
    now, state = 1000.0, {}
    monkeypatch.setattr(saving.time, "monotonic", lambda: now)
    for seconds, expected in ((10, 10), (5, 15), (2, 17)):
        part: Any = Checkpoints(tmp_path, Log())
        if state:
            part.load_state_dict(state)
        now += 100  # of building the network, which are not trained
        part.on_train_start(SimpleNamespace(global_step=0), SimpleNamespace(criterion=Criterion("accuracy")))
        now += seconds
        state = part.state_dict()
        part.teardown(None, None, "fit")
        assert state["seconds"] == part.seconds == expected


@pytest.mark.parametrize(
    ("criterion", "in_file", "best"),
    [
        (Criterion("accuracy"), 0.5, 0.5), (Criterion("accuracy"), 0.9, 0.9), (Criterion("accuracy"), None, 0.9),
        (Criterion("error", higher_is_better=False), 0.5, 0.9), (Criterion("error", higher_is_better=False), 1.2, 1.2),
    ],
)  # fmt: skip
def test_the_best_figure_is_that_of_the_file_whatever_was_selected_before(criterion, in_file, best, tmp_path):
    saved: Any = Checkpoints(tmp_path, Log())
    saved.load_state_dict({"best": 0.9, "latest": 0.6, "seconds": 1.0})
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "summary.json").write_text('{"selected": {"epoch": "last"}}')
    if in_file is not None:  # the last epoch's network, or one that was better since the run goes on
        content = {"callbacks": {saved.state_key: {"best": 0.9, "latest": in_file, "seconds": 1.0}}}
        torch.save(content, tmp_path / "checkpoints/best.ckpt")
    saved.on_train_start(SimpleNamespace(global_step=0), SimpleNamespace(criterion=criterion))
    saved.teardown(None, None, "fit")
    assert saved.best == best


@pytest.mark.long
def test_a_finished_run_that_goes_on_has_no_result_until_it_is_tested_again(tiny_options, tmp_path, monkeypatch):
    options = [*tiny_options, "--log.wandb=disabled", "--log.maps_every=0", f"--log.root={tmp_path}", "--log.name=run"]
    run, summary = tmp_path / "run", tmp_path / "run/summary.json"
    assert main(["fit", *options, "--trainer.max_epochs=1"]) == 0

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(lightning.Trainer, "test", full)
        assert main(["fit", "--resume", str(run), "--trainer.max_epochs=2"]) == 1
    assert "test" not in json.loads(summary.read_text())
    assert main(["fit", *options, "--resume=auto", "--trainer.max_epochs=2"]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    best = torch.load(run / "checkpoints/best.ckpt", weights_only=True)["epoch"]
    found = json.loads(summary.read_text())
    assert found["validation"]["epoch"] == best + 1 == 2
    assert found["selected"]["reason"].startswith("20 validation images")
    assert found["images_per_second"] > 0  # of epochs before the stop
    assert found["test"] == training.evaluate(training.find_checkpoint(run))


@pytest.mark.long
def test_a_run_that_is_trained_longer_says_what_a_new_one_says(tiny_options, tmp_path, monkeypatch):
    """Results of the shorter run, such as how much its blocks were in use, would be taken for the longer one's."""
    options = [
        *tiny_options,
        "--model.block=se",
        "--log.wandb=disabled",
        "--log.maps_every=0",
        f"--log.root={tmp_path}",
    ]
    assert main(["fit", *options, "--log.name=longer", "--trainer.max_epochs=1"]) == 0
    finished = json.loads((tmp_path / "longer/summary.json").read_text())
    assert {"in_use", "test", "selected", "validation"} <= finished.keys()

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(lightning.Trainer, "test", full)
    assert main(["fit", *options, "--log.name=new", "--trainer.max_epochs=2"]) == 1
    assert main(["fit", "--resume", str(tmp_path / "longer"), "--trainer.max_epochs=2"]) == 1
    new, longer = (json.loads((tmp_path / name / "summary.json").read_text()) for name in ("new", "longer"))
    assert longer.keys() == new.keys()
    assert longer["selected"] == new["selected"]
