"""Figures that are counted, and numbers that follow from others, against scikit-learn, plain loops and by hand."""

import math
import os
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from cv_attention.config import Data, LrScale, Optimizer, Trainer
from cv_attention.rundir.counts.label_counts import LabelCounts
from cv_attention.training.callbacks.throughput import Throughput, advice
from cv_attention.training.class_names import check_classes
from cv_attention.training.devices import hardware
from cv_attention.training.optim.groups import current_rates
from cv_attention.training.optim.optimization import limited, trained_batches
from cv_attention.training.recording.confusion import by_class
from cv_attention.training.recording.labels.label_counts import of_counts
from cv_attention.training.tasks.epoch_means import EpochMeans
from cv_attention.training.tasks.recall.metrics import RecallMetrics


def test_metrics_of_each_class_are_scikit_learns():
    random = np.random.default_rng(0)
    true, guess = random.integers(0, 4, 200), random.integers(0, 5, 200)  # class 4 has no images, 5 no guesses either
    found = by_class(torch.from_numpy(confusion_matrix(true, guess, labels=range(6))))
    precision, recall, f1, images = precision_recall_fscore_support(true, guess, labels=range(6), zero_division=np.nan)
    assert found["images"] == images.tolist()
    assert [math.nan if x is None else x for x in found["recall"]] == pytest.approx(recall.tolist(), nan_ok=True)
    assert [math.nan if x is None else x for x in found["precision"]] == pytest.approx(precision.tolist(), nan_ok=True)
    assert found["f1"][:5] == pytest.approx(f1[:5].tolist())
    assert found["f1"][5] is None


def test_metrics_that_follow_from_counts():
    counts = LabelCounts(10, [0.5, 0.25, math.nan], [4, 0, 0], [5, 2, 0], [3, 0, 0], [], [])
    assert of_counts(counts) == {
        "images": [4, 0, 0], "threshold": [0.5, 0.25, None], "recall": [3 / 4, None, None],
        "precision": [3 / 5, 0.0, None], "f1": [6 / 9, 0.0, None],
    }  # fmt: skip


@pytest.mark.parametrize("processes", [1, 3])
def test_means_over_an_epoch_weigh_every_image_alike(processes):
    """And are resumed from a checkpoint, with the same number of processes or another one."""
    alone = SimpleNamespace(world_size=1, global_rank=0)
    means = EpochMeans(("accuracy",), torch.float64)
    assert means.compute(alone)[1] == 0
    assert all(math.isnan(value) for value in means.compute(alone)[0].values())
    for images, loss, right in ((3, 2.0, 1), (1, 6.0, 1)):
        means.add(images, torch.tensor(loss), accuracy=torch.tensor(right))
    assert means.compute(alone) == ({"loss": 3.0, "accuracy": 0.5}, 4)
    state = means.state(alone) * processes
    for rank in range(3):
        restored = EpochMeans(("accuracy",), torch.float64)
        restored.restore(state, SimpleNamespace(world_size=3, global_rank=rank))
        share = 1 if processes == 3 else int(rank == 0)
        assert restored.images == 4 * share
        assert restored.compute(alone)[0]["loss"] == (3.0 if share else pytest.approx(math.nan, nan_ok=True))
    means.clear()
    assert means.images == 0
    for wrong in ({}, {"accuracy": torch.tensor(1), "more": torch.tensor(1)}):
        with pytest.raises(ValueError, match=r"train_figures names accuracy, but epoch_means.add got "):
            means.add(1, torch.tensor(1.0), **wrong)


@pytest.mark.parametrize(("batches", "limit", "left"), [
    (10, None, 10), (10, 3, 3), (10, 12, 10), (10, 0, 0), (10, 0.25, 2), (10, 1.0, 10), (10, 1, 1), (10, 0.0, 0),
])  # fmt: skip
def test_lightnings_limits_are_numbers_or_shares(batches, limit, left):
    assert limited(batches, limit) == left
    assert trained_batches(batches, Trainer(extra={"limit_train_batches": limit})) == left


def test_rates_are_logged_by_group_only_where_they_differ():
    groups = SimpleNamespace(param_groups=[{"name": "backbone", "lr": 0.1}, {"name": "head", "lr": 0.4}])
    assert current_rates(groups, Optimizer()) == {"lr": 0.4}
    every = {"lr": 0.4, "lr_backbone": 0.1, "lr_head": 0.4}
    assert current_rates(groups, Optimizer(lr_scale=LrScale(head=4))) == every
    assert current_rates(groups, Optimizer(layer_decay=0.5)) == every


@pytest.mark.parametrize(("workers", "cores", "offered"), [(0, 8, True), (6, 8, True), (7, 8, False), (0, 1, False)])
def test_more_workers_are_offered_while_there_are_cores(workers, cores, offered):
    said = advice(Data(name="cifar10", workers=workers), 0.126, resident=False, cores=cores)
    assert said.startswith("13% of the time was spent waiting for images: try ")
    assert (f"--data.workers {cores - 1} (now {workers}, {cores} cores)" in said) == offered
    assert "data.cache" not in said


def test_the_median_of_the_epochs_is_kept():
    throughput = Throughput(Data())
    assert (throughput.images_per_second, throughput.waiting_share) == (None, None)
    throughput.load_state_dict({"rates": [100.0, 300.04, 200.0], "waiting": [0.5, 0.123456, 0.1]})
    assert (throughput.images_per_second, throughput.waiting_share) == (200.0, 0.1235)
    assert throughput.state_dict() == {"rates": [100.0, 300.04, 200.0], "waiting": [0.5, 0.123456, 0.1]}


@pytest.mark.parametrize(("devices", "message"), [
    ("two", "must be a number or auto, got 'two'"), ("0,1", "must be a number or auto, got '0,1'"),
    ("-1", "must be a number or auto, got '-1'"), (99_999, "but this machine has {} CPU core"),
])  # fmt: skip
def test_devices_of_a_processor(devices, message):
    for right in ("auto", 1, os.cpu_count() or 1, "1"):
        hardware.check(Trainer(accelerator="cpu", devices=right))
    with pytest.raises(ValueError, match=message.format(os.cpu_count())):
        hardware.check(Trainer(accelerator="cpu", devices=devices))


@pytest.mark.parametrize(("count", "end"), [(20, "c19"), (21, "c19 and 1 more"), (25, "c19 and 5 more")])
def test_twenty_classes_are_named(count, end):
    names = [f"c{number}" for number in range(count)]
    check_classes(names, names, "data")
    with pytest.raises(ValueError, match=f"data has the classes c0, .*, {end}; the network knows a$"):
        check_classes(names, ["a"], "data")
    with pytest.raises(ValueError, match="data has the classes b, a; the network knows a, b"):
        check_classes(["b", "a"], ["a", "b"], "data")


def test_answers_are_counted_by_how_often_their_class_was_shown():
    random = np.random.default_rng(0)
    logits = torch.from_numpy(random.normal(size=(5, 12, 3)))
    answer = torch.from_numpy(random.integers(-1, 3, (5, 12)))
    nth = torch.from_numpy(random.integers(1, 13, (5, 12)))
    metrics = RecallMetrics("classify", 12, torch.float64)
    metrics.count(logits, answer, nth)
    rows = [(int(logits[b, s].argmax()) == int(answer[b, s]), int(nth[b, s]),
             -math.log2(float(logits[b, s].softmax(0)[answer[b, s]])))
            for b in range(5) for s in range(12) if answer[b, s] >= 0]  # fmt: skip

    def share(kept):
        return sum(right for right, _, _ in kept) / len(kept)

    expected = {"accuracy": share(rows), "accuracy_after_1": share([row for row in rows if row[1] > 1]),
                "bits": sum(row[2] for row in rows) / len(rows)}  # fmt: skip
    expected |= {f"accuracy_{n}": share([row for row in rows if row[1] == n]) for n in range(1, 11)}
    found = {name: float(metric.compute()) for name, metric in metrics.items()}
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-6), name
