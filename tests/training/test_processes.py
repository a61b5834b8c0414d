"""Trainings as real processes: killed and resumed, and divided over two."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from cv_attention.config import Optimizer
from cv_attention.training import evaluate
from cv_attention.training.optim.optimization import create_optimizer, create_schedule
from tests.training.processes import logged

REPOSITORY = Path(__file__).parents[2]


def start(*options: str) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(REPOSITORY / "train.py"), *options]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(process: subprocess.Popen) -> str:
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output
    return output


def wait_for(condition, process: subprocess.Popen, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end, "the process never came so far"
        time.sleep(0.02)


def weights(run: Path, name: str = "last") -> dict[str, torch.Tensor]:
    return torch.load(run / f"checkpoints/{name}.ckpt", weights_only=True)["state_dict"]


@pytest.mark.long
def test_a_killed_run_resumes_and_ends_like_one_that_was_never_killed(tmp_path, tiny_options):
    options = [
        *tiny_options, "--model.block=se", "--trainer.max_epochs=6", "--data.train_transforms=[HorizontalFlip]",
        "--log.wandb=disabled", f"--log.root={tmp_path}",
    ]  # fmt: skip
    whole = start(*options, "--log.name=whole")
    finish(whole)

    killed = start(*options, "--log.name=killed")
    last, epoch = tmp_path / "killed/checkpoints/last.ckpt", tmp_path / "killed/maps/epoch-0001.json"
    wait_for(lambda: last.is_file() and epoch.is_file(), killed)
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=60)
    reached = torch.load(last, weights_only=True)["epoch"]
    assert 0 <= reached < 5, "killed too late to show anything"

    finish(start("--resume", str(tmp_path / "killed")))
    expected, resumed = weights(tmp_path / "whole"), weights(tmp_path / "killed")
    assert expected.keys() == resumed.keys()
    for name, value in expected.items():
        torch.testing.assert_close(resumed[name], value, rtol=0, atol=0, msg=name)
    summaries = [json.loads((tmp_path / run / "summary.json").read_text()) for run in ("whole", "killed")]
    assert summaries[0]["test"] == summaries[1]["test"]
    # both parts are in the record and in the report
    assert sorted(part.name for part in (tmp_path / "killed/metrics").iterdir()) == ["0", "1"]
    assert len(list((tmp_path / "killed/maps").glob("epoch-*.json"))) == 6
    assert (tmp_path / "killed/report/index.html").is_file()


def test_resuming_says_what_changes(tmp_path, tiny_options, tiny_run, capsys):
    from cv_attention.cli import main

    assert main(["fit", "--resume", str(tiny_run), "--model.block=se"]) == 2
    printed = capsys.readouterr().err
    assert 'block: "cbam" -> "se"' in printed
    assert "resuming cannot change it" in printed


@pytest.mark.parametrize("schedule", ["OneCycleLR", pytest.param("cosine", marks=pytest.mark.long)])
def test_a_finished_run_goes_on_only_when_it_is_made_longer(schedule, tmp_path, tiny_options, capsys):
    from cv_attention.cli import main

    options = [*tiny_options, f"--optimizer.schedule={schedule}", "--trainer.max_epochs=1", "--log.wandb=disabled"]
    assert main(["fit", *options, f"--log.root={tmp_path}", "--log.name=run"]) == 0
    assert main(["fit", "--resume", str(tmp_path / "run")]) == 2
    assert "has finished its 1 epochs" in capsys.readouterr().err
    assert main(["fit", "--resume", str(tmp_path / "run"), "--trainer.max_epochs=3"]) == 0
    with (tmp_path / "run/metrics/1/metrics.csv").open() as file:
        rates = [float(row["lr"]) for row in csv.DictReader(file) if row.get("lr")]
    whole = Optimizer(lr=0.05, schedule=schedule)  # of three epochs of three steps, from the fourth step on
    network = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(3, 1))
    optimizer = create_optimizer(whole, network)
    expected, planned = [], create_schedule(whole, optimizer, 3, 3)
    for step in range(9):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        planned.step_update(step + 1) if schedule == "cosine" else planned.step()
    assert rates == pytest.approx([expected[step] for step in (3, 5, 7)], rel=1e-6)


@pytest.mark.long
@pytest.mark.parametrize("strategy", ["ddp", "fsdp2"])
def test_two_processes_train_and_count_like_one(strategy, tmp_path, tiny_options):
    """A network without BatchNorm, since each process sees half of every batch; 31 test images do not divide by two."""
    options = [
        *tiny_options, "--model.backbone=timm/convnext_atto", "--model.options={}", "--model.block=se",
        "--model.at=stage", "--data.digits.test=31", "--data.digits.val=21", "--data.digits.train=40",
        "--optimizer.name=AdamW", "--optimizer.lr=0.001", "--trainer.max_epochs=1", f"--log.root={tmp_path}",
    ]  # fmt: skip
    options += ["--log.maps_every=0"] if strategy == "fsdp2" else []
    finish(start(*options, "--log.name=one", "--log.wandb=disabled"))
    finish(start(*options, "--log.name=two", f"--trainer.strategy={strategy}", "--trainer.devices=2"))
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-3, atol=1e-4, msg=name)
    first, second = (json.loads((tmp_path / run / "summary.json").read_text()) for run in ("one", "two"))
    # rounding decides which of two nearly equal maxima of a map is the larger one
    expected = {name: pytest.approx(value, rel=1e-3) for name, value in first["test"].items()}
    assert second["test"] == {**expected, "pointing": pytest.approx(first["test"]["pointing"], abs=1.5 / 31)}
    assert (second["test"]["accuracy"] * 31) == pytest.approx(round(second["test"]["accuracy"] * 31), abs=1e-4)
    again = evaluate(tmp_path / "two/checkpoints/best.ckpt")  # what was tested is what was saved
    assert again == pytest.approx(second["test"], rel=1e-5)
    means = [[float(row["train_loss_epoch"]) for row in logged(tmp_path / run) if "train_loss_epoch" in row]
             for run in ("one", "two")]  # fmt: skip
    assert means[1] == pytest.approx(means[0], rel=1e-3)
    with np.load(tmp_path / "two/predictions.npz") as file:  # of both processes, each image once, in order
        assert file["index"].tolist() == list(range(31))
        assert file["loss"].mean() == pytest.approx(second["test"]["loss"], rel=1e-5)
        assert (file["predicted"] == file["label"]).mean() == pytest.approx(second["test"]["accuracy"])
    # written once, by one process
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]
    assert len(list((tmp_path / "two/maps").glob("epoch-*.npz"))) == (strategy == "ddp")
    assert [part.name for part in (tmp_path / "two/metrics").iterdir()] == ["0"]
    assert len(list((tmp_path / "two/wandb").glob("offline-run-*"))) == 1
