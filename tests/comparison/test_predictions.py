"""What single test images say: the part of the spread that is theirs, images gained and lost, a second endpoint."""

import itertools

import numpy as np
import pytest

from cv_attention.cli.entry import main
from cv_attention.comparison import compare
from cv_attention.comparison.predictions import Predictions, changed, image_deviation
from tests.comparison.written import write

COUNT = 400


def predicted(generator, chance):
    """Predictions of runs that are right on each image by its own chance, independently of each other."""
    names = np.array([f"{number:05d}" for number in range(len(chance))])
    correct = generator.random(len(chance)) < chance
    return Predictions(names, correct, np.where(correct, 0.8, 0.1).astype(np.float32))


def save(run, found):
    label = np.zeros(len(found.names), np.int64)
    predictions = np.where(found.correct, 0, 1)
    np.savez(run / "predictions.npz", name=found.names, label=label, predicted=predictions,
             probability=found.probability, index=np.arange(len(label)), loss=np.zeros(len(label)))  # fmt: skip


@pytest.fixture
def runs(tmp_path):
    generator = np.random.default_rng(0)
    chance = generator.random(COUNT)
    runs, kept = [], {}
    for block, seed in itertools.product((None, "se"), range(4)):
        found = predicted(generator, chance)
        run = write(tmp_path, f"{block}-{seed}", seed=seed, block=block, test={"accuracy": float(found.correct.mean())})
        save(run, found)
        runs.append(run)
        kept[block, seed] = found
    return runs, kept


def test_runs_that_are_right_by_chance_spread_as_much_as_the_images_make_them():
    generator = np.random.default_rng(1)
    chance = generator.random(COUNT)
    found = [predicted(generator, chance) for _ in range(60)]
    expected = (chance * (1 - chance)).mean() / COUNT  # the variance of a mean of independent images
    assert image_deviation(found) ** 2 == pytest.approx(expected, rel=0.03)
    assert image_deviation(found) == pytest.approx(np.std([one.correct.mean() for one in found], ddof=1), rel=0.3)


def test_runs_that_shift_as_a_whole_spread_more():
    generator = np.random.default_rng(1)
    found = [predicted(generator, np.full(COUNT, level)) for level in (0.5, 0.7, 0.9)]
    assert np.std([one.correct.mean() for one in found], ddof=1) > 4 * image_deviation(found)


def test_a_row_says_both(runs):
    paths, kept = runs
    plain, se = compare(paths).tables[0].rows
    own = [kept["se", seed] for seed in range(4)]
    pairs = [np.var(a.correct * 1.0 - b.correct) for a, b in itertools.combinations(own, 2)]
    assert se.image_deviation == pytest.approx((np.mean(pairs) / 2 / COUNT) ** 0.5)
    for seed in range(4):
        right = {block: set(np.flatnonzero(kept[block, seed].correct)) for block in (None, "se")}
        assert (se.gained[seed], se.lost[seed]) == (len(right["se"] - right[None]), len(right[None] - right["se"]))
    assert (plain.gained, plain.lost) == ((), ())


def test_the_probability_of_the_true_class_is_a_metric(runs):
    paths, kept = runs
    rows = compare(paths, metric="probability").tables[0].rows
    np.testing.assert_allclose(rows[1].values, [kept["se", seed].probability.mean() for seed in range(4)], rtol=1e-6)
    assert rows[1].verdict != "none"


def test_the_command_shows_the_ratio(runs, capsys):
    assert main(["compare", *map(str, runs[0])]) == 0
    out = capsys.readouterr().out
    assert "sd / test-set sd" in out.splitlines()[0]
    assert "far above 1, train longer" in out


def test_predictions_of_other_images_do_not_count(runs, tmp_path):
    paths, kept = runs
    found = kept["se", 0]
    save(paths[4], Predictions(found.names, ~found.correct, found.probability))  # evaluated again, elsewhere
    row = compare(paths).tables[0].rows[1]
    assert len(row.gained) == 3
    assert changed(found, Predictions(found.names[::-1], found.correct, found.probability)) is None
    assert image_deviation([found]) is None


def test_a_torn_file_is_answered_in_one_line(runs, capsys):
    (runs[0][0] / "predictions.npz").write_bytes(b"PK torn")
    assert main(["compare", *map(str, runs[0])]) == 2
    error = capsys.readouterr().err
    assert "predictions.npz cannot be read" in error
    assert error.count("\n") == 1


def test_without_predictions_there_is_no_such_metric(tmp_path, capsys):
    run = write(tmp_path, "one", test={"accuracy": 0.5})
    assert main(["compare", str(run), "--metric", "probability"]) == 2
    assert "has no test metric 'probability'" in capsys.readouterr().err
