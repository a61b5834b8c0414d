"""The run directory of a `Recorder` over time: continued, replaced, refused, compared."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import cv_attention as cva
from cv_attention.cli import main
from cv_attention.comparison import compare
from cv_attention.recording import probe_files
from cv_attention.report.read.facts import results
from cv_attention.report.read.metrics import read_metrics
from cv_attention.report.read.run_directory import read_run
from cv_attention.rundir import summary
from cv_attention.rundir.layout import RunLayout
from tests.recording.nets import CLASSES, LABELS, Net, column


def test_an_epoch_that_is_logged_again_is_replaced(tmp_path, model, images):
    run = tmp_path / "run"
    recorder = cva.report.Recorder(run, images, LABELS, CLASSES)
    for epoch in range(3):
        recorder.log(model, epoch, val_accuracy=0.1 * epoch, odd=1.0)
    before = column(run, "Grad-CAM", 1)
    nn.init.normal_(model.conv1[0].weight)
    recorder.log(model, 1, val_accuracy=0.9)
    series = read_metrics(RunLayout(run)).series
    assert [point[2] for point in series["val_accuracy"]] == pytest.approx([0, 0.9, 0.2])
    assert [point[1] for point in series["odd"]] == [0, 2]
    assert not np.array_equal(column(run, "Grad-CAM", 1), before)


def test_a_run_goes_on_in_another_process(tmp_path, model, images):
    run = tmp_path / "run"
    first = cva.report.Recorder(run, images, LABELS, CLASSES, names=list("abcdef"), boxes=[(1, 2, 3, 4)] + [None] * 5)
    for epoch in range(3):
        first.log(model, epoch, val_accuracy=0.1 * epoch)
    first.close()
    assert summary.read(run)["validation"] == {"accuracy": pytest.approx(0.2), "epoch": 3}
    second = cva.report.Recorder(run, images, LABELS, CLASSES, names=list("abcdef"), boxes=[(1, 2, 3, 4)] + [None] * 5)
    second.log(model, 2, val_accuracy=0.7)
    assert {"validation", "finished", "files"}.isdisjoint(summary.read(run))  # it goes on: there is no result yet
    second.log(model, 3, val_accuracy=0.8)
    metrics = read_metrics(RunLayout(run))
    assert [point[2] for point in metrics.series["val_accuracy"]] == pytest.approx([0, 0.1, 0.7, 0.8])
    assert len(metrics.resumed) == 1
    with (run / "metrics/0/metrics.csv").open(newline="") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["0", "1"]
    assert [s.epoch for s in read_run(run).recording.snapshots] == [0, 1, 2, 3]


def test_curves_go_by_epochs_where_steps_start_again(tmp_path, model, images):
    run = tmp_path / "run"
    for start in (0, 3):
        recorder = cva.report.Recorder(run, images, LABELS, CLASSES)
        for epoch in range(start, start + 3):
            recorder.log(model, epoch, step=None if epoch == 5 else 10 * (epoch - start + 1), train_loss=float(epoch))
    metrics = read_metrics(RunLayout(run))
    assert [(at, value) for at, _, value in metrics.series["train_loss"]] == [(e + 1.0, float(e)) for e in range(6)]
    assert metrics.resumed == [3.0]


@pytest.mark.parametrize("other", ["image", "label", "names", "fit", "torn"])
def test_a_directory_of_something_else_is_refused(tmp_path, model, images, other):
    run = tmp_path / "run"
    cva.report.Recorder(run, images, LABELS, CLASSES).log(model, 0)
    labels, names = list(LABELS), list(CLASSES)
    if other == "image":
        images = images.clone()
        images[3, :, 5, 5] = 1 - images[3, :, 5, 5]
    elif other == "label":
        labels[0] = 1
    elif other == "names":
        names[0] = "nought"
    elif other == "fit":
        (run / "summary.json").write_text(summary.text({"parameters": 3, "class_names": CLASSES}))
    else:
        (run / "maps/images/0002.png").write_bytes(b"torn")
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    message = "no Recorder has written" if other == "fit" else "holds maps of other images"
    with pytest.raises(ValueError, match=message):
        cva.report.Recorder(run, images, labels, names).log(model, 1)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("call", [lambda r: r.__enter__(), lambda r: r.confusion(0, LABELS, LABELS)])
def test_a_run_of_somebody_else_is_noticed_before_an_epoch_is_trained(tmp_path, images, call):
    run = tmp_path / "run"
    run.mkdir()
    (run / "summary.json").write_text(summary.text({"parameters": 3, "class_names": CLASSES}))
    with pytest.raises(ValueError, match="no Recorder has written"):
        call(cva.report.Recorder(run, images, LABELS, CLASSES))
    assert [path.name for path in run.iterdir()] == ["summary.json"]


def test_the_directory_is_the_same_wherever_a_notebook_goes(tmp_path, model, images, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    recorder = cva.report.Recorder("run", images, LABELS, CLASSES)
    recorder.log(model, 0)
    monkeypatch.chdir(tmp_path / "elsewhere")
    recorder.log(model, 1)
    assert recorder.close() == tmp_path / "run/report/index.html"
    assert not any((tmp_path / "elsewhere").iterdir())


def test_a_directory_that_is_removed_meanwhile_is_written_again(tmp_path, model, images):
    run = tmp_path / "run"
    recorder = cva.report.Recorder(run, images, LABELS, CLASSES)
    recorder.log(model, 0)
    shutil.rmtree(run)
    recorder.log(model, 1)
    recorder.close()
    read = read_run(run)
    assert read.notices == []
    assert len(read.recording.probes) == 6
    assert read.class_names == CLASSES


def test_validation_metrics_may_be_named_as_in_lightning(tmp_path, model, images):
    with cva.report.Recorder(tmp_path / "run", images, LABELS, CLASSES) as recorder:
        recorder.log(model, 0, **{"val/acc": 0.25, "val_loss": 1.5, "train/loss": 2.0})
    assert summary.read(tmp_path / "run")["validation"] == {"acc": 0.25, "loss": 1.5, "epoch": 1}


def test_names_of_test_metrics_do_not_clash(tmp_path, model, images):
    recorder = cva.report.Recorder(tmp_path / "run", images, LABELS, CLASSES)
    recorder.log(model, 0)
    assert recorder.test(torch.eye(3), [0, 1, 1], test_f1=0.5)["f1"] == 0.5
    assert summary.read(tmp_path / "run")["test"]["accuracy"] == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match="metric accuracy is computed from logits and labels"):
        recorder.test(torch.eye(3), [0, 1, 1], test_accuracy=0.9)
    with pytest.raises(ValueError, match="logits must be one tensor, array or list of all images"):
        recorder.test([torch.eye(3), torch.eye(3)[:2]], LABELS[:5])


def test_a_full_disk_leaves_the_earlier_epochs(tmp_path, model, images, monkeypatch):
    run = tmp_path / "run"
    recorder = cva.report.Recorder(run, images, LABELS, CLASSES)
    recorder.log(model, 0)

    def full(path, *_, **__):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(probe_files, "write_arrays", full)
    with pytest.raises(OSError, match="No space left"):
        recorder.log(model, 1)
    cva.report.build(run)
    assert [snapshot.epoch for snapshot in read_run(run).recording.snapshots] == [0]
    assert read_run(run).notices == []


def test_before_training_is_epoch_minus_one(tmp_path, model, images):
    run = tmp_path / "run"
    with cva.report.Recorder(run, images, LABELS, CLASSES) as recorder:
        for epoch in (-1, 0, 1):
            recorder.log(model, epoch, val_accuracy=0.5)
    read = read_run(run)
    assert [snapshot.epoch for snapshot in read.recording.snapshots] == [-1, 0, 1]
    assert [point[0] for point in read.metrics.series["val_accuracy"]] == [0, 1, 2]
    assert read.notices == []


def test_configuration_names_the_network_and_its_block(tmp_path, model, images):
    config = {"seed": 3, "optimizer": {"lr": 0.1}, "mine": "yes"}
    cva.report.Recorder(tmp_path / "run", images, LABELS, CLASSES, config=config).log(model, 0)
    text = (tmp_path / "run/config.yaml").read_text()
    assert "backbone: Net" in text
    assert "block: cbam" in text
    found = summary.read(tmp_path / "run")
    assert found["parameters"] == sum(p.numel() for p in model.parameters())
    assert [part["name"] for part in found["network"]] == ["conv1", "conv2", "classify"]
    [site] = found["sites"]
    assert (site["name"], site["channels"], site["height"], site["width"]) == ("conv1.2", 8, 12, 10)
    with pytest.raises(ValueError, match="config must hold numbers"):
        cva.report.Recorder(tmp_path / "b", images, config={"seed": object()}).log(model, 0)


def test_an_error_in_the_loop_leaves_the_files_and_no_page(tmp_path, model, images):
    def interrupted() -> None:
        with cva.report.Recorder(tmp_path / "run", images) as recorder:
            recorder.log(model, 0)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (tmp_path / "run/maps/epoch-0000.npz").exists()
    assert not (tmp_path / "run/report").exists()


def trained(run: Path, block: str | None, seed: int, images: torch.Tensor) -> Path:
    torch.manual_seed(seed)
    net, rng = Net(), np.random.default_rng(seed + 10 * (block is None))
    if block:
        cva.insert(net, block, ["conv1"], input_size=(12, 10))
    labels = torch.arange(300) % 3
    logits = F.one_hot(labels, 3) + 1.2 * torch.from_numpy(rng.standard_normal((300, 3))).float()
    with cva.report.Recorder(run, images, LABELS, CLASSES, config={"seed": seed}) as recorder:
        recorder.log(net, 0, val_accuracy=0.8 + 0.01 * seed)
        results = recorder.test(logits, labels, pointing=0.5)
    expected = {"accuracy": (logits.argmax(1) == labels).float().mean(), "loss": F.cross_entropy(logits, labels)}
    assert results.pop("pointing") == 0.5
    assert results == {name: pytest.approx(float(value), abs=1e-6) for name, value in expected.items()}
    return run


def test_runs_are_compared_and_shown_like_ours(tmp_path, images, capsys):
    runs = [trained(tmp_path / f"{block}-{seed}", block, seed, images) for block in (None, "se") for seed in range(3)]
    found = compare(runs)
    [table] = found.tables
    assert [row.label for row in table.rows] == ["plain", "se"]
    assert table.reference == "plain"
    assert table.rows[1].units == ("seed 0", "seed 1", "seed 2")
    assert len(table.rows[1].gained) == 3  # image by image, from predictions.npz
    assert [note for note in found.notes if "left out" in note] == []
    assert main(["compare", *map(str, runs), "--split", "val"]) == 0
    assert main(["report", str(runs[0]), str(runs[3]), "-o", str(tmp_path / "both")]) == 0
    assert "both" in capsys.readouterr().out
    read = read_run(runs[3])
    assert read.notices == []
    assert read.summary["finished"] is True
    assert dict(results(read))["pointing"] == 0.5
    assert (runs[3] / "report/index.html").is_file()
