"""Parts of a comparison by hand: which fields count, which way is better, what hardware and verdicts are called."""

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from cv_attention.comparison.arms import Arm, Values, block_of, name, values
from cv_attention.comparison.cautions import cautions, hardware
from cv_attention.comparison.direction import stated
from cv_attention.comparison.fields import Kind, kind
from cv_attention.comparison.predictions import Predictions, changed, image_deviation
from cv_attention.comparison.requested import other_values
from cv_attention.comparison.runs import RATES, SHARES, Run
from cv_attention.comparison.summaries import figures, number
from cv_attention.comparison.text import interaction_text, verdict
from cv_attention.config import Data, Experiment, Log, Optimizer, Trainer


def run(seed=0, test=None, fold=None, path="run", **summary):
    config = {"seed": seed, "data.fold": fold or 0, "data.split_file": None if fold is None else "folds.json"}
    return Run(Path(path), config, {"test": test or {}, **summary})


@pytest.mark.parametrize(("metric", "directions", "higher"), [
    ("loss", [{"loss": True}], False), ("val_loss", [{}], False), ("accuracy", [{}], True), ("cer", [{}], False),
    ("mine", [{}], None), ("mine", [{"mine": False}, {}], False), ("mine", [{"mine": True}, {"mine": False}], None),
    ("accuracy", [{"accuracy": False}], False), ("mine", [{"mine": "up"}], None), ("lossy", [{}], None),
])  # fmt: skip
def test_which_way_is_better(metric, directions, higher):
    assert stated(metric, [run(higher_is_better=each) for each in directions]) is higher


def test_shares_and_rates_are_different_metrics():
    assert not set(SHARES) & set(RATES)
    assert all(stated(metric, []) is True for metric in SHARES)
    assert all(stated(metric, []) is False for metric in RATES)


@pytest.mark.parametrize(("field", "expected"), [
    ("seed", Kind.BLOCK), ("data.digits.clutter", Kind.DATA), ("data.text.height", Kind.RECIPE),
    ("data.text.unit", Kind.DATA), ("log.name", Kind.RECORD), ("loss.focal_gamma", Kind.RECIPE),
    ("optimizer.lr_scale.blocks", Kind.NETWORK), ("optimizer.lr_scale.head", Kind.RECIPE), ("new.field", Kind.RECIPE),
])  # fmt: skip
def test_what_a_field_affects(field, expected):
    assert kind(field) is expected


def test_what_differs_from_what_was_asked():
    asked = Experiment()
    assert other_values(Experiment(), asked) == []
    before = Experiment(
        data=Data(mean=[0.5, 0.5, 0.5], bits=12, train_transforms=["HorizontalFlip"], workers=4), log=Log(root="x"),
        trainer=Trainer(devices=2, extra={"profiler": "simple"}),
    )  # fmt: skip
    assert other_values(before, asked) == []  # filled in, or without effect
    steps, mean = 'data.train_transforms: [] -> ["HorizontalFlip"]', "data.mean: null -> [0.5, 0.5, 0.5]"
    assert other_values(asked, before) == ["data.bits: null -> 12", steps, mean]
    other = Experiment(seed=2, optimizer=Optimizer(lr=0.2), trainer=Trainer(extra={"limit_train_batches": 3}))
    expected = ["seed: 0 -> 2", "optimizer.lr: 0.1 -> 0.2", 'trainer.extra: {} -> {"limit_train_batches": 3}']
    assert other_values(asked, other) == expected
    assert other_values(asked, other, ["seed"]) == expected[1:]


@pytest.mark.parametrize(("value", "expected"), [
    (0.5, 0.5), (3, 3.0), (None, math.nan), (1e100, math.inf), (-1e100, -math.inf), (9e99, 9e99), (10**400, math.inf),
])  # fmt: skip
def test_figures_that_practically_diverged_are_infinite(value, expected):
    assert figures({"epoch": 7, "a": value, "b": "text"}) == pytest.approx({"a": expected}, nan_ok=True)
    assert number({"a": value}, "a") == (value if math.isfinite(expected) else None)
    assert number({}, "a") is None


def test_blocks_have_a_seed_and_perhaps_a_fold():
    assert [block_of(run(seed=3)), block_of(run(seed=3, fold=0)), block_of(run(seed=3, fold=2))] == [
        (-1, 3), (0, 3), (2, 3),
    ]  # fmt: skip
    assert [name((-1, 3)), name((0, 3))] == ["seed 3", "fold 0, seed 3"]


def arm(*runs):
    found = Arm({}, {})
    for each in runs:
        found.add(each, finished=bool(each.summary["test"]))
    found.settle()
    return found


def test_values_of_folds_are_means_over_their_seeds():
    one = arm(*(run(seed, {"accuracy": 0.1 * fold + 0.01 * seed}, fold) for fold in range(3) for seed in range(2)))
    two = arm(run(0, {"accuracy": 0.5}, 1))
    found = values([one, two], "test", "accuracy")
    np.testing.assert_allclose(found.table, [[0.005, 0.105, 0.205], [np.nan, 0.5, np.nan]])
    assert (found.units, found.overlap) == (("fold 0", "fold 1", "fold 2"), 0.5)
    recorded = arm(*(run(0, {"accuracy": 0.5}, fold, data={"folds": {"count": 5}}) for fold in range(2)))
    assert values([recorded], "test", "accuracy").overlap == 0.25
    alone = values([arm(run(4, {"accuracy": 0.5}, 1), run(2, {"accuracy": 0.25}, 1))], "test", "accuracy")
    assert (alone.units, alone.overlap, alone.table.tolist()) == (
        ("fold 1, seed 2", "fold 1, seed 4"),
        None,
        [[0.25, 0.5]],
    )


def test_of_two_runs_of_a_seed_the_first_counts_and_unfinished_ones_are_dropped():
    found = arm(run(0, {"a": 0.1}, path="x"), run(0, {"a": 0.2}, path="y"), run(0, path="z"), run(1, path="w"))
    assert found.finished == {(-1, 0): found.runs[0]}
    assert found.notes == ["y is left out: x is the same network with seed 0"]
    assert [str(each.path) for each in found.unfinished] == ["w"]
    assert [str(each.path) for each in found.runs] == ["x", "w"]


@pytest.mark.parametrize(("recorded", "words"), [
    ({}, []), ({"device": "A", "precision": "32-true"}, ["A, 32-true"]),
    ({"device": "A", "devices": 2, "accelerator": "cuda", "threads": 4, "precision": "x"}, ["2 × A, x"]),
    ({"device": "C", "devices": 1, "accelerator": "cpu", "threads": 1, "precision": "x"}, ["C, 1 thread, x"]),
    ({"device": "C", "accelerator": "cpu", "threads": 2}, ["C, 2 threads, unknown precision"]),
])  # fmt: skip
def test_hardware_in_words(recorded, words):
    assert hardware(arm(run(0, {"accuracy": 0.5}, hardware=recorded))) == words


def test_spreads_and_missing_units_are_noted():
    lacking = Values(np.array([[0.5, 0.6], [0.5, np.nan], [np.nan, np.nan]]), ("seed 0", "seed 1"), None)
    lines = list(cautions([arm(), arm(), arm()], ["a", "b", "c"], lacking, [None, 3.14159, None], compared=False))
    assert [line for line in lines if "lacks" in line] == ["b lacks seed 1, which other rows have"]
    assert [line for line in lines if "spread" in line] == [
        "the runs of b seem to spread 3.1 times as much as the other networks', so intervals of differences with b are "
        "wider"
    ]
    more = cautions(
        [arm()] * 3, ["a", "b", "c"], lacking, [None, 14.4, None], compared=False, apart=[False, True, False]
    )
    assert [line for line in more if "spread" in line] == [
        "the runs of b seem to spread 14.4 times as much as the other networks', so b is judged apart, by a paired t "
        "test, and the other intervals do without it"
    ]


def predictions(*right, names=None):
    return Predictions(np.array(names or [f"{n}" for n in range(len(right))]), np.array(right, bool))


def test_images_that_only_one_of_two_networks_gets_right():
    one, two = predictions(1, 1, 0, 0, 1), predictions(1, 0, 1, 1, 1)
    assert changed(one, two) == (2, 1)
    assert changed(one, predictions(1, 1, names=["a", "b"])) is None
    three = predictions(0, 0, 0, 1, 1)
    pairs = [(one, two), (one, three), (two, three)]
    spread = [np.var(a.correct.astype(float) - b.correct.astype(float)) for a, b in pairs]
    assert image_deviation([one, two, three]) == pytest.approx(math.sqrt(np.mean(spread) / 2 / 5))
    assert image_deviation([one]) is None
    assert image_deviation([one, predictions(1, 1, names=["a", "b"])]) is None


def row(verdict, **more):
    about = {"verdict": verdict, "low": None, "high": None, "within_margin": False, "more": None, "reason": "why"}
    return SimpleNamespace(**{**about, **more})


@pytest.mark.parametrize(("given", "metric", "words"), [
    (row("none"), "accuracy", "why"), (row("equivalent"), "accuracy", "equivalent within ±0.30 points"),
    (row("unresolved", more=1), "accuracy", "unresolved: about 1 more seed"),
    (row("unresolved", more=1000), "accuracy", "unresolved: about 1,000 more seeds"),
    (row("unresolved"), "accuracy", "unresolved: over 1,000 more seeds"),
    (row("better", low=0.012, high=0.02), "accuracy", "better by at least 1.20 points"),
    (row("worse", low=-0.03, high=-0.011), "accuracy", "worse by at least 1.10 points"),
    (row("better", low=0.001, high=0.002, within_margin=True), "accuracy",
     "better by at least 0.10 points, yet within ±0.30 points"),
    (row("better", low=1e-6, high=0.1), "accuracy", "better, perhaps by less than 0.01 points"),
    (row("worse", low=-0.5, high=-0.25), "loss", "worse by at least 0.2500"),
])  # fmt: skip
def test_verdicts_in_words(given, metric, words):
    compared = SimpleNamespace(metric=metric, margin=0.003)
    assert verdict(given, SimpleNamespace(folds=False), compared) == words
    folds = verdict(given, SimpleNamespace(folds=True), compared)
    assert folds == ("unresolved by these folds" if given.verdict == "unresolved" else words)


def test_an_interaction_is_one_below_alpha():
    assert interaction_text(0.049, 0.05).startswith("the differences depend on the recipe (interaction, p = 0.049)")
    assert interaction_text(0.05, 0.05).startswith("no sign that the differences depend on the recipe")
