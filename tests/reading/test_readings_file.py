"""Every test image's text in one table, against reading each image by itself."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from torchmetrics.functional.text import char_error_rate

from cv_attention import data, training
from cv_attention.cli import main
from cv_attention.rundir import summary
from cv_attention.rundir.checksums import checksum
from cv_attention.rundir.readings import read_readings


def one_by_one(task):
    """The readings and the truths of the test split, read an image at a time."""
    module = data.create(task.experiment.data, seed=task.experiment.seed)
    module.setup()
    split = module.splits["test"]
    readings = [task.read(split.batch([(0, index)])["image"])[0] for index in range(len(split))]
    return readings, list(split.images.texts)


def test_the_table_holds_what_the_network_reads(transcriber, tmp_path):
    figures = training.evaluate(transcriber, predictions=tmp_path / "readings.csv")
    rows, (readings, truths) = read_readings(tmp_path / "readings.csv"), one_by_one(transcriber)
    assert len({reading.text for reading in readings}) > 3
    assert [row.file_name for row in rows] == [f"{number:05d}" for number in range(30)]
    assert [row.text for row in rows] == [reading.text for reading in readings]
    assert [row.truth for row in rows] == truths
    assert [row.confidence for row in rows] == pytest.approx([one.confidence for one in readings], rel=1e-4)
    for row in rows:
        assert row.cer == pytest.approx(float(char_error_rate([row.text], [row.truth])), rel=1e-5)
    errors = sum(row.cer * len(row.truth) for row in rows) / sum(len(row.truth) for row in rows)
    assert errors == pytest.approx(figures["cer"], rel=1e-5)
    assert sum(row.text == row.truth for row in rows) / 30 == pytest.approx(figures["exact"])


def test_a_run_has_the_table_and_testing_again_renews_it(tiny_run, capsys):
    file = tiny_run / "readings.csv"
    before, listed = file.read_bytes(), summary.read(tiny_run)["files"]
    assert listed["readings.csv"] == checksum(file)
    rows = read_readings(file)
    assert len(rows) == 30
    assert not (tiny_run / "predictions.npz").exists()
    file.write_text("file_name,text,confidence,truth,cer\n")
    assert main(["test", str(tiny_run)]) == 0
    assert f"predictions: {file}" in capsys.readouterr().out
    assert file.read_bytes() == before
    assert summary.read(tiny_run)["files"] == listed
    assert not list(tiny_run.rglob("*.partial"))


def test_a_table_elsewhere_leaves_the_run_alone(tiny_run, tmp_path):
    before = summary.read(tiny_run)
    assert main(["test", str(tiny_run), "--predictions", str(tmp_path / "mine.csv")]) == 0
    assert (tmp_path / "mine.csv").read_bytes() == (tiny_run / "readings.csv").read_bytes()
    assert summary.read(tiny_run) == before


@pytest.mark.long
def test_two_processes_write_the_table_of_one(tiny_options, tiny_run, tmp_path):
    root = Path(__file__).parents[2]
    options = ["--trainer.devices=2", "--trainer.strategy=ddp", "--data.batch_size=10", "--data.strings.test=29"]
    command = [sys.executable, str(root / "train.py"), *tiny_options, *options, f"--log.root={tmp_path}"]
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*command, "--log.name=two"], env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    rows = read_readings(tmp_path / "two/readings.csv")
    assert [row.file_name for row in rows] == [f"{number:05d}" for number in range(29)]
    figures = json.loads((tmp_path / "two/summary.json").read_text())["test"]
    assert sum(row.text == row.truth for row in rows) / 29 == pytest.approx(figures["exact"])
    again = training.evaluate(training.find_checkpoint(tmp_path / "two"), predictions=tmp_path / "one.csv", task=None)
    assert again == pytest.approx(figures)
    alone = read_readings(tmp_path / "one.csv")
    assert [(row.text, row.truth, row.cer) for row in rows] == [(row.text, row.truth, row.cer) for row in alone]
