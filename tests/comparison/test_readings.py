"""Comparing networks that read texts: by exact texts, image by image, and by the character error rate."""

import itertools

import numpy as np
import pytest

from cv_attention.cli import main
from cv_attention.comparison import compare
from cv_attention.comparison.predictions import read
from cv_attention.rundir.readings import ReadText, write_readings
from tests.comparison.written import write

COUNT = 50


@pytest.fixture
def runs(tmp_path):
    generator, runs = np.random.default_rng(0), {}
    for block, seed in itertools.product((None, "se"), range(3)):
        right = generator.random(COUNT) < (0.9 if block else 0.6)
        test = {"cer": 0.02 + 0.1 * (~right).mean(), "exact": float(right.mean()), "word_accuracy": float(right.mean())}
        run = write(tmp_path, f"{block}-{seed}", seed=seed, block=block, test=test, task="reading")
        rows = [
            ReadText(f"{i:05d}", "12" if good else "1", 0.5, "12", 0.5 * (not good)) for i, good in enumerate(right)
        ]
        write_readings(run / "readings.csv", rows)
        runs[block, seed] = run, right
    return runs


def test_exact_texts_are_compared_image_by_image(runs):
    plain, se = compare([run for run, _ in runs.values()], metric="exact").tables[0].rows
    for seed in range(3):
        reference, own = runs[None, seed][1], runs["se", seed][1]
        assert (se.gained[seed], se.lost[seed]) == ((own & ~reference).sum(), (reference & ~own).sum())
    pairs = [np.var(runs["se", a][1] * 1.0 - runs["se", b][1]) for a, b in itertools.combinations(range(3), 2)]
    assert se.image_deviation == pytest.approx((np.mean(pairs) / 2 / COUNT) ** 0.5)
    assert (plain.gained, se.verdict) == ((), "better")


def test_fewer_errors_are_better_and_shown_in_percent(runs, capsys):
    paths = [str(run) for run, _ in runs.values()]
    found = compare([run for run, _ in runs.values()], metric="cer")
    assert not found.higher_is_better
    assert found.tables[0].rows[1].verdict == "better"
    assert found.tables[0].rows[1].difference < 0
    assert found.tables[0].rows[1].image_deviation is None  # which is of exact texts
    assert main(["compare", *paths, "--metric", "cer"]) == 0
    assert "test cer (%)" in capsys.readouterr().out.splitlines()[0]


def test_more_errors_than_characters_are_a_rate(tmp_path):
    runs = [write(tmp_path, str(seed), seed=seed, test={"cer": 1.5, "exact": 0.0}) for seed in range(2)]
    assert compare(runs, metric="cer").tables[0].rows[0].values == (1.5, 1.5)


def test_readings_of_other_images_do_not_count(runs):
    run, right = runs[None, 0]
    assert read(run, {"exact": float(right.mean())}).correct.tolist() == right.tolist()
    assert read(run, {"exact": float(right.mean()) - 0.1}) is None
    assert read(run, {"accuracy": float(right.mean())}) is None  # classes are in predictions.npz
    notes = compare([run for run, _ in runs.values()], metric="exact").tables[0].notes
    assert not any("readings.csv" in note for note in notes)
    write_readings(run / "readings.csv", [ReadText("0", "1", 0.5, "1", 0.0)])
    notes = compare([run for run, _ in runs.values()], metric="exact").tables[0].notes
    assert any("readings.csv does not belong to the test" in note for note in notes)


def test_a_probability_of_the_true_class_does_not_exist(runs, capsys):
    assert main(["compare", *[str(run) for run, _ in runs.values()], "--metric", "probability"]) == 2
    assert "has no test metric 'probability'" in capsys.readouterr().err


def test_a_torn_table_is_answered_in_one_line(runs, capsys):
    runs[None, 0][0].joinpath("readings.csv").write_text('file_name,text,confidence,truth,cer\n0,"1')
    assert main(["compare", *[str(run) for run, _ in runs.values()], "--metric", "exact"]) == 2
    error = capsys.readouterr().err
    assert "readings.csv" in error
    assert error.count("\n") == 1


def test_texts_are_compared_by_their_error_rate_if_nothing_is_said(runs):
    paths = [run for run, _ in runs.values()]
    assert compare(paths) == compare(paths, metric="cer")
    assert compare(paths).metric == "cer"
