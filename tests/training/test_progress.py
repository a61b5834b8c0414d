"""What is said of a training while it runs."""

import contextlib
import csv
import os
import pty
import re
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from lightning.pytorch.callbacks import RichProgressBar

from cv_attention.cli import main
from cv_attention.training.callbacks.losses import Losses
from cv_attention.training.callbacks.progress import ProgressBar
from cv_attention.training.callbacks.terminal import duration
from cv_attention.training.callbacks.throughput import Throughput
from tests.training.processes import train


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
    for number, line in enumerate(lines, 1):
        of_epoch: dict[str, float] = {}
        for row in rows:
            of_epoch |= {name: float(value) for name, value in row.items() if value and row["epoch"] == str(number - 1)}
        start = (
            f"epoch {number} of 2: train loss {of_epoch['train_loss_epoch']:.4f}, "
            f"train accuracy {of_epoch['train_accuracy']:.4f}, val loss {of_epoch['val_loss']:.4f}, "
            f"val accuracy {of_epoch['val_accuracy']:.4f}, "
        )
        assert line.startswith(start)
        assert re.fullmatch(r"[\d,]+ images/s, [\d.]+ s", line.removeprefix(start))
    assert len(lines) == 2
    assert any(re.fullmatch(r"trained in [\d.]+ s", line) for line in said)


def test_an_epoch_without_a_validation_does_not_show_the_last_ones_figures(tiny_options, tmp_path, capsys):
    options = [option for option in tiny_options if "enable_progress_bar" not in option]
    more = ["--trainer.extra={check_val_every_n_epoch: 2}", "--trainer.max_epochs=3", "--log.maps_every=0"]
    more += ["--log.wandb=disabled", f"--log.root={tmp_path}"]
    assert main(["fit", *options, *more]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch ")]
    assert ["val loss" in line for line in lines] == [False, True, False]


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
def test_a_terminal_keeps_a_line_for_each_epoch_above_its_bar(tiny_options, tmp_path):
    master, slave = pty.openpty()
    seen: list[bytes] = []

    def read() -> None:
        with contextlib.suppress(OSError):  # closed
            while part := os.read(master, 4096):
                seen.append(part)

    reader = threading.Thread(target=read)
    reader.start()
    options = [option for option in tiny_options if "enable_progress_bar" not in option]
    more = ["--log.maps_every=0", "--log.wandb=disabled", f"--log.root={tmp_path}", "--log.name=lines"]
    code = train(["fit", *options, *more], Path(os.ttyname(slave)))
    os.close(slave)
    reader.join(10)
    os.close(master)
    said = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", b"".join(seen).decode())
    assert code == 0, said
    assert "Epoch 2/2" in said
    assert sorted(set(re.findall(r"epoch [12] of 2: train loss", said))) == [
        "epoch 1 of 2: train loss", "epoch 2 of 2: train loss",
    ]  # fmt: skip
    assert re.search(r"trained in [\d.]+ s", said)


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0.04, "0.0 s"),
        (8.25, "8.2 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (185, "3 min 05 s"),
        (7640, "2 h 07 min"),
    ],
)
def test_times_are_written_as_people_read_them(seconds, written):
    assert duration(seconds) == written


@pytest.mark.parametrize(("epoch", "shown"), [(0, "Epoch 1/3 "), (2, "Epoch 3/3 ")])
def test_the_bar_counts_epochs_from_one(epoch, shown, tmp_path, monkeypatch):
    monkeypatch.setattr(RichProgressBar, "trainer", SimpleNamespace(max_epochs=3))
    data: Any = None
    bar = ProgressBar(Losses(tmp_path), Throughput(data))
    assert bar._get_train_description(epoch) == shown
