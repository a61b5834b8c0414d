"""A training that has diverged is warned about once; one that learns slowly is not."""

import math
from types import SimpleNamespace

import pytest

from cv_attention.cli import main
from cv_attention.rundir.facts import DataFacts
from cv_attention.training.callbacks.divergence import Divergence
from cv_attention.training.tasks.classifier import Classifier
from cv_attention.training.tasks.interface import Guess

LN10 = math.log(10)
GUESS = Guess(LN10, "guessing among 10 classes")


def judge(loss, accuracy, images, classes=10):
    """What is said of an epoch of a classifier."""
    names = tuple(str(number) for number in range(classes))
    facts = DataFacts(names, (0.5,) * 3, (0.2,) * 3, (8, 8))
    task, means = (
        SimpleNamespace(facts=facts, loss=SimpleNamespace(name="cross_entropy", weights=None)),
        {"loss": loss, "accuracy": accuracy},
    )
    guess, guessing = Classifier.guess(task), Classifier.is_guessing(task, means, images)  # pyright: ignore[reportArgumentType]
    return Divergence(guess, 0.1).of_epoch(3, means, guessing=guessing)


@pytest.mark.parametrize(
    ("loss", "accuracy", "diverged"),
    [
        (LN10, 0.1, False), (1.9 * LN10, 0.1, False), (2.1 * LN10, 0.1, True), (2.1 * LN10, 0.4, False),
        (3.2, 0.3, False), (1.6e10, 0.1, True), (1.6e10, 0.9, True), (0.01, 1.0, False), (2.5 * LN10, 0.02, True),
    ],
)  # fmt: skip
def test_the_means_of_an_epoch_tell(loss, accuracy, diverged):
    said = judge(loss, accuracy, 10_000)
    assert bool(said) == diverged
    if said:
        assert f"diverged in epoch 3: its mean loss is {loss:.4g} and its mean accuracy is {accuracy:.4g}; " in said
        assert "guessing among 10 classes has a loss of 2.30" in said
        assert "--optimizer.lr (now 0.1)" in said


def test_few_images_leave_a_margin_of_chance():
    """Twenty of a hundred right is above chance; two of ten may be chance."""
    assert not judge(3 * LN10, 0.2, 100)
    assert judge(3 * LN10, 0.2, 10)


def test_the_lowest_of_several_steps_warns_once():
    watch = Divergence(GUESS, 0.1)
    assert watch.of_steps(1, 49 * LN10) is None
    assert watch.of_steps(1, 51 * LN10).startswith("warning: training seems to have diverged in epoch 1: no loss")
    assert watch.of_steps(2, 51 * LN10) is None


def test_one_class_alone_is_no_division_by_zero():
    assert judge(0.0, 1.0, 10, classes=1) is None


def test_a_diverged_training_is_warned_about_once(tiny_options, tmp_path, capsys):
    options = [*tiny_options, "--log.wandb=disabled", "--log.maps_every=0", "--trainer.max_epochs=3"]
    options += ["--optimizer.lr=1e5", "--optimizer.schedule=null", "--optimizer.weight_decay=0"]
    assert main(["fit", *options, f"--log.root={tmp_path}", "--log.name=run"]) == 0
    warnings = [line for line in capsys.readouterr().out.splitlines() if line.startswith("warning")]
    assert len(warnings) == 1
    assert warnings[0].startswith("warning: training seems to have diverged in epoch 1")
    assert "try a lower --optimizer.lr (now 100000)" in warnings[0]


def test_a_training_that_learns_is_not_warned_about(tiny_options, tmp_path, capsys):
    options = [*tiny_options, "--log.wandb=disabled", "--log.maps_every=0"]
    assert main(["fit", *options, f"--log.root={tmp_path}", "--log.name=run"]) == 0
    assert "warning" not in capsys.readouterr().out
