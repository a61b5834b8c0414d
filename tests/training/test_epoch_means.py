"""The epoch's mean training loss and accuracy, against sums by hand over everything that was trained on."""

import csv
import json
import signal
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from cv_attention.cli import main
from cv_attention.config import Bags, Data, Digits, Episodes, Experiment, Model, Strings, Trainer
from cv_attention.data import create
from cv_attention.report.read.metrics import read_metrics
from cv_attention.rundir.layout import RunLayout
from cv_attention.training.optim.optimization import steps_per_epoch
from cv_attention.training.tasks.choosing import TASKS, task_of
from cv_attention.training.tasks.classifier import Classifier, count_right
from cv_attention.training.tasks.epoch_means import EpochMeans
from tests.quick import quick_first
from tests.training.processes import End, logged, train

QUICK = ["--log.wandb=disabled", "--log.maps_every=0"]  # three batches of 20 images


def epochs(run) -> list[dict[str, float]]:
    names = ("train_loss_epoch", "train_accuracy")
    return [{name: float(row[name]) for name in names} for row in logged(run) if names[0] in row]


@pytest.mark.parametrize(
    "options",
    quick_first(
        [[], ["--trainer.accumulate_grad_batches=2"], ["--data.mixup=0.5", "--optimizer.label_smoothing=0.1"]], 2
    ),
    ids=["plain", "accumulated", "mixed"],
)  # fmt: skip
def test_the_means_are_of_all_images_of_the_epoch(options, tiny_options, tmp_path, monkeypatch):
    seen: list[tuple[int, float, float]] = []
    original = Classifier.training_step

    def training_step(self, batch, number):
        outputs: list[torch.Tensor] = []
        handle = self.network.register_forward_hook(lambda *hooked: outputs.append(hooked[2].detach()))
        loss = original(self, batch, number)
        handle.remove()
        [logits], labels = outputs, batch["label"]
        targets = labels.double() if labels.ndim == 2 else torch.eye(10, dtype=torch.double)[labels]
        smoothing = self.experiment.optimizer.label_smoothing
        smoothed = (1 - smoothing) * targets + smoothing / 10
        by_hand = -(smoothed * logits.double().log_softmax(1)).sum(1)
        correct = targets[range(len(targets)), logits.argmax(1)]
        seen.append((len(logits), float(by_hand.sum()), float(correct.sum())))
        return loss

    monkeypatch.setattr(Classifier, "training_step", training_step)
    run = tmp_path / "run"
    assert main(["fit", *tiny_options, *QUICK, *options, f"--log.root={tmp_path}", "--log.name=run"]) == 0
    assert [images for images, _, _ in seen] == [20] * 6
    for number, found in enumerate(epochs(run)):
        batches = seen[3 * number : 3 * number + 3]
        assert found["train_loss_epoch"] == pytest.approx(sum(loss for _, loss, _ in batches) / 60, rel=1e-6)
        assert found["train_accuracy"] == pytest.approx(sum(correct for _, _, correct in batches) / 60, rel=1e-6)
    assert len(epochs(run)) == 2
    series = read_metrics(RunLayout(run)).series  # what the report draws: at the end of each epoch
    assert [at for at, _, _ in series["train_loss_epoch"]] == [at for at, _, _ in series["train_accuracy"]] == [1, 2]


@pytest.mark.long
def test_a_row_that_was_logged_before_a_kill_is_not_there_twice(tiny_options, tmp_path):
    """A checkpoint from within the validation; the kill comes between the epoch's means and its checkpoint.

    That an epoch is counted as a whole wherever it is interrupted is part of what `test_interruption` compares.
    """
    options = ["fit", *tiny_options, *QUICK, f"--log.root={tmp_path}", "--log.name"]
    assert main([*options, "whole"]) == 0
    said = tmp_path / "said.txt"
    assert train([*options, "cut"], said, End("validation", 0, signal.SIGTERM)) == 143
    assert train(["fit", "--resume", str(tmp_path / "cut")], said, End("write", 0)) == -9
    assert len(epochs(tmp_path / "cut")) == 1
    assert main(["fit", "--resume", str(tmp_path / "cut")]) == 0
    assert epochs(tmp_path / "cut") == epochs(tmp_path / "whole")


def test_every_image_counts_alike_in_batches_of_different_sizes():
    generator = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(17, 4, generator=generator), torch.randint(4, (17,), generator=generator)
    shares = torch.rand(17, 4, generator=generator).softmax(1)
    for target in (labels, shares):
        means, alone = EpochMeans(("accuracy",), torch.float64), SimpleNamespace(world_size=1)
        for start, end in ((0, 8), (8, 9), (9, 17)):
            part = slice(start, end)
            loss = torch.nn.functional.cross_entropy(logits[part], target[part])
            means.add(end - start, loss, accuracy=count_right(logits[part], target[part]))
        found, images = means.compute(alone)  # pyright: ignore[reportArgumentType]
        loss, accuracy = found["loss"], found["accuracy"]
        assert images == 17
        assert list(found) == ["loss", "accuracy"]
        assert loss == pytest.approx(
            torch.nn.functional.cross_entropy(logits.double(), target if target.ndim == 1 else target.double()).item(),
            rel=1e-6,
        )
        best = logits.argmax(1)
        right = (best == labels).double() if target.ndim == 1 else shares[range(17), best].double()
        assert accuracy == pytest.approx(right.mean().item(), rel=1e-6)


def test_sums_of_other_numbers_of_processes_are_taken_up():
    state = [[3.0, 2.0, 4], [5.0, 1.0, 4]]
    found = []
    for world in (2, 1, 3):
        sums = torch.zeros(3, dtype=torch.double)
        for rank in range(world):
            trainer = SimpleNamespace(world_size=world, global_rank=rank)
            means = EpochMeans(("accuracy",), torch.float64)
            means.restore(state, trainer)  # pyright: ignore[reportArgumentType]
            alone: Any = SimpleNamespace(world_size=1)
            sums += torch.tensor(means.state(alone)[0], dtype=torch.double)
        found.append(sums.tolist())
    assert found == [[8.0, 3.0, 8.0]] * 3


@pytest.mark.parametrize(
    ("batches", "trainer", "steps"),
    [
        (5, Trainer(), 5), (5, Trainer(accumulate_grad_batches=2), 3), (1, Trainer(accumulate_grad_batches=4), 1),
        (10, Trainer(extra={"limit_train_batches": 3}), 3), (10, Trainer(extra={"limit_train_batches": 0.5}), 5),
        (10, Trainer(accumulate_grad_batches=3, extra={"limit_train_batches": 7}), 3),
    ],
)  # fmt: skip
def test_steps_left_over_count(batches, trainer, steps):
    assert steps_per_epoch(batches, trainer) == steps


def test_the_schedule_ends_with_the_steps_that_are_made(tiny_options, tmp_path):
    """Three batches make two steps; the cosine of four steps has these rates."""
    options = [*tiny_options, *QUICK, "--trainer.accumulate_grad_batches=2", "--log.every_n_steps=1"]
    assert main(["fit", *options, f"--log.root={tmp_path}", "--log.name=run"]) == 0
    with (tmp_path / "run/metrics/0/metrics.csv").open(newline="") as file:
        rates = [float(row["lr"]) for row in csv.DictReader(file) if row["lr"]]
    assert rates == pytest.approx([0.05, 0.05 * (2 + 2**0.5) / 4, 0.025, 0.05 * (2 - 2**0.5) / 4])
    assert json.loads((tmp_path / "run/summary.json").read_text())["test"]


def test_under_accumulation_the_logged_loss_is_that_of_a_batch(tiny_options, tmp_path, monkeypatch):
    losses, original = [], Classifier.training_step

    def training_step(self, batch, step):
        loss = original(self, batch, step)
        losses.append(float(loss.detach()))
        return loss

    monkeypatch.setattr(Classifier, "training_step", training_step)
    options = [*tiny_options, *QUICK, "--trainer.accumulate_grad_batches=2", "--log.every_n_steps=1"]
    assert main(["fit", *options, f"--log.root={tmp_path}", "--log.name=run"]) == 0
    with (tmp_path / "run/metrics/0/metrics.csv").open(newline="") as file:
        logged = [float(row["train_loss"]) for row in csv.DictReader(file) if row.get("train_loss")]
    assert logged == pytest.approx([losses[number] for number in (1, 2, 4, 5)], rel=1e-5)  # the last of each step


DIGITS = Digits(train=12, val=10, test=10, canvas=16, digit=8, most=2, clutter=0)
STRINGS = Strings(train=12, val=10, test=10, height=16, width=32, longest=2, smallest=10, largest=12, clutter=0)
BAGS = Bags(train=12, val=10, test=10, side=12)
EPISODES = Episodes(train=12, val=10, test=10, ways=3, instances=2, side=12)
SMALL = {"backbone": "convnet", "options": {"widths": [4], "strides": [2]}}
KINDS = {
    "classification": (Data(digits=DIGITS), Model(**SMALL)),
    "multi_label": (Data(targets="multi", digits=DIGITS), Model(**SMALL)),
    "regression": (Data(targets="numbers", digits=DIGITS), Model(**SMALL)),
    "bags": (Data(name="digit_bags", bags=BAGS), Model(**SMALL, head="gated")),
    "reading": (Data(name="digit_strings", strings=STRINGS), Model(**SMALL, head={"name": "gru", "width": 4})),
    "recall": (
        Data(name="episodes", episodes=EPISODES),
        Model(**SMALL, head={"name": "recall", "memory": "mann", "slots": 4, "width": 4, "controller_width": 8}),
    ),
}


@pytest.mark.parametrize("name", TASKS)
def test_every_task_counts_what_a_batch_holds(name):
    """Batches of one, two and four images: each counts by what it holds, as when all are added one by one."""
    data, model = KINDS[name]
    experiment = Experiment(data=data, model=model)
    module = create(data, seed=0)
    module.setup()
    kind = task_of(experiment)
    assert kind.name == name
    task = kind(experiment, kind.facts_of(module)).eval()  # so that no batch's statistics matter
    losses = []
    with torch.no_grad():
        for first, end in ((0, 1), (1, 3), (3, 7)):
            batch = module.splits["train"].batch([(0, index) for index in range(first, end)])
            losses.append((end - first) * float(task.training_step(batch, 0)))
    trainer: Any = SimpleNamespace(world_size=1)
    found, images = task.epoch_means.compute(trainer)
    assert images == 7
    assert found["loss"] == pytest.approx(sum(losses) / 7, rel=1e-6)
    assert all(0 <= found[figure] <= 1 for figure in task.train_figures)
