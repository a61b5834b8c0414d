"""What is said of a training while it runs."""

import csv
import re
from types import SimpleNamespace
from typing import Any

import pytest
from lightning.pytorch.callbacks import RichProgressBar

from cv_attention.cli import main
from cv_attention.training.losses import Losses
from cv_attention.training.progress import ProgressBar
from cv_attention.training.throughput import Throughput


def test_each_epoch_is_a_line_where_there_is_no_terminal(tiny_options, tmp_path, capsys):
    options = [option for option in tiny_options if "enable_progress_bar" not in option]
    extra = "--trainer.extra={limit_test_batches: 1, limit_val_batches: 1.0}"
    more = [extra, "--log.maps_every=0", "--log.wandb=disabled", f"--log.root={tmp_path}", "--log.name=lines"]
    assert main(["fit", *options, *more]) == 0
    said = capsys.readouterr().out.splitlines()
    [partial] = [line for line in said if "limit_" in line]
    assert partial.startswith("trainer.extra: limit_test_batches is 1, so the test figures are of")
    lines = [line for line in said if line.startswith("epoch ")]
    with (tmp_path / "lines/metrics/0/metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    accuracies = [float(row["val_accuracy"]) for row in rows if row["val_accuracy"]]
    for number, (line, accuracy) in enumerate(zip(lines, accuracies, strict=True), 1):
        losses = [float(row["train_loss"]) for row in rows if row["train_loss"] and row["epoch"] == str(number - 1)]
        start = f"epoch {number} of 2: train loss {losses[-1]:.4f}, val accuracy {accuracy:.4f}, "
        assert line.startswith(start)
        assert re.fullmatch(r"[\d,]+ images/s", line.removeprefix(start))


@pytest.mark.parametrize(("epoch", "shown"), [(0, "Epoch 1/3 "), (2, "Epoch 3/3 ")])
def test_the_bar_counts_epochs_from_one(epoch, shown, tmp_path, monkeypatch):
    monkeypatch.setattr(RichProgressBar, "trainer", SimpleNamespace(max_epochs=3))
    data: Any = None
    bar = ProgressBar(Losses(tmp_path), Throughput(data))
    assert bar._get_train_description(epoch) == shown
