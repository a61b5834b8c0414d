"""The examples, run as a reader would run them, on a handful of images."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cv_attention.comparison import compare
from tests.report.written import only_run

ROOT = Path(__file__).parents[1]


def run(script, *options, cwd):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(ROOT / "examples" / script), *options]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.long
def test_report_from_any_loop(tmp_path):
    accuracies = []
    for options in ([], ["--plain"]):
        printed = run("report_from_any_loop.py", *options, cwd=tmp_path)
        accuracies.append(float(re.match(r"test accuracy (\d\.\d+); ", printed)[1]))
        assert (tmp_path / printed.split("; ")[1].strip()).is_file()
    assert min(accuracies) > 0.7
    found = compare([tmp_path / "runs/digits_cnn", tmp_path / "runs/digits_cnn_plain"])
    assert [(row.label, round(row.mean, 3)) for row in found.tables[0].rows] == [
        ("plain", accuracies[1]),
        ("cbam", accuracies[0]),
    ]


@pytest.mark.long
def test_report_from_lightning(tmp_path):
    printed = run("report_from_lightning.py", cwd=tmp_path)
    index = tmp_path / printed.strip().splitlines()[-1]
    shown = only_run(index)
    assert {"train_loss", "val_loss", "val_accuracy"} <= shown["series"].keys()
    assert len(shown["epochs"]) == 4
    assert {column["title"] for column in shown["columns"]} == {"attention", "input_x_gradient"}
    assert shown["notices"] == []


@pytest.mark.long
def test_insert_into_pretrained(tmp_path):
    options = [
        "--data.digits.train=60",
        "--data.digits.val=20",
        "--data.digits.test=30",
        "--data.digits.canvas=32",
        "--data.digits.digit=16",
        "--data.batch_size=20",
        "--model.options={width: 4}",
        "--trainer.accelerator=cpu",
        "--trainer.extra={enable_progress_bar: false}",
    ]
    more = ["--data.name=cluttered_digits", "--data.train_transforms=[]", "--log.wandb=disabled", "--log.maps_every=0"]
    printed = run(
        "insert_into_pretrained.py", *options, *more, "--data.root=data", "--trainer.max_epochs=1", cwd=tmp_path
    )
    assert "all 30 test predictions are what they were" in printed
    table = printed.partition("\ntest accuracy\n")[2]
    assert len(re.findall(r"^.+ \d+\.\d\d %$", table, re.M)) == 4
    runs = {path.name for path in (tmp_path / "runs").iterdir()}
    assert runs == {f"pretrained-{name}" for name in ("plain", "blocks", "all", "longer", "control")}
