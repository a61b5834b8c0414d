"""Images per second, the share of waiting, and the advice that follows from it."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from cv_attention.config import Data
from cv_attention.training.callbacks.throughput import Throughput, advice

BATCH = {"image": torch.zeros(8, 3, 4, 4)}
MODULE: Any = None


class Clock:
    """A clock that only moves when told to."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("cv_attention.training.callbacks.throughput.perf_counter", clock)
    return clock


def epoch(measured: Throughput, trainer: Any, time: Clock, *, load: float, train: float, steps: int = 4) -> None:
    measured.on_train_epoch_start(trainer, MODULE)
    for step in range(steps):
        time.sleep(load)
        measured.on_train_batch_start(trainer, MODULE, BATCH, step)
        time.sleep(train)
        measured.on_train_batch_end(trainer, MODULE, None, BATCH, step)
    measured.on_validation_start(trainer, MODULE)
    time.sleep(7)
    measured.on_validation_end(trainer, MODULE)
    measured.on_train_epoch_end(trainer, MODULE)


def fake(resident=False, world_size=1) -> Any:
    splits = {"train": SimpleNamespace(resident=resident)}
    return SimpleNamespace(
        world_size=world_size,
        is_global_zero=True,
        progress_bar_callback=None,
        datamodule=SimpleNamespace(splits=splits),
    )


def test_waiting_is_told_from_training_and_validation_counts_for_neither(clock, capsys):
    measured = Throughput(Data(name="folder"))
    epoch(measured, fake(world_size=2), clock, load=0.06, train=0.02)
    assert measured.waiting_share == pytest.approx(0.75)
    assert measured.images_per_second == pytest.approx(2 * 8 / 0.08)
    assert measured.now() == {"images/s": "200", "waiting": "75%"}
    epoch(measured, fake(), clock, load=0.06, train=0.02)
    assert capsys.readouterr().out.count("waiting for images") == 1  # said once


def test_nothing_is_said_where_nothing_is_to_be_gained(clock, capsys):
    measured = Throughput(Data(name="folder"))
    epoch(measured, fake(), clock, load=0, train=0.05)
    assert measured.waiting_share is not None
    assert measured.waiting_share < 0.1
    assert not capsys.readouterr().out


@pytest.mark.parametrize(
    ("data", "resident", "said", "unsaid"),
    [
        (Data(name="folder"), False, ["25%", "--data.workers 7 (now 0, 8 cores)", "--data.cache"], []),
        (Data(name="folder", workers=7), False, ["--data.cache"], ["--data.workers"]),
        (Data(name="folder", workers=7, cache=256), False, ["cheaper steps"], ["--data.workers", "--data.cache"]),
        (Data(name="cifar10"), True, ["in memory already"], ["--data.workers", "--data.cache"]),
    ],
)
def test_advice_names_what_is_not_used_yet(data, resident, said, unsaid):
    text = advice(data, 0.25, resident=resident, cores=8)
    assert all(words in text for words in said)
    assert not any(words in text for words in unsaid)
