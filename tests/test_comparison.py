"""Several trainings side by side: against scipy's paired t-test, and what is told about unequal ones."""

import json
import re

import numpy as np
import pytest
import yaml
from scipy import stats

from cv_attention.cli.main import main
from cv_attention.comparison import compare

ACCURACIES = {"null": [0.71, 0.72, 0.705, 0.70], "se": [0.73, 0.735, 0.71, 0.73], "cbam": [0.70, 0.74, 0.69, 0.72]}


def write(root, name, *, seed=0, block=None, test=None, version="1", **fields):
    run = root / name
    run.mkdir(parents=True)
    config = {"seed": seed, "model": {"block": block, "at": "residual"}, "optimizer": {"lr": 0.1, **fields}}
    config |= {"data": {"split_file": None, "fold": 0}, "log": {"name": name}}
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    summary = {"parameters": 1000, "images_per_second": 50.0 + seed, "provenance": {"cv_attention": version}}
    (run / "summary.json").write_text(json.dumps(summary | ({"test": test} if test else {})))
    return run


@pytest.fixture
def runs(tmp_path):
    return [
        write(tmp_path, f"{block}-{seed}", seed=seed, block=None if block == "null" else block,
              test={"accuracy": value, "loss": 1 - value})
        for block, values in ACCURACIES.items()
        for seed, value in enumerate(values)
    ]  # fmt: skip


def test_means_and_paired_intervals_are_those_of_scipy(runs):
    plain, *others = compare(runs[::-1]).rows
    assert plain.label == "plain"
    assert (plain.differences, plain.difference, plain.interval) == ((), None, None)
    assert {row.label for row in others} == {"se", "cbam"}
    for row in others:
        values, base = (np.array(ACCURACIES[name])[::-1] for name in (row.label, "null"))
        low, high = stats.ttest_rel(values, base).confidence_interval(0.95)
        np.testing.assert_allclose([row.difference - row.interval, row.difference + row.interval], [low, high])
        np.testing.assert_allclose([row.mean, row.deviation], [values.mean(), values.std(ddof=1)])
        np.testing.assert_allclose(row.differences, values - base)
        assert row.differs == (stats.ttest_rel(values, base).pvalue < 0.05)
    assert [row.differs for row in others] == [False, True]  # cbam, se
    assert others[0].images_per_second == 51.5


def test_only_shared_seeds_are_paired(runs):
    rows = compare([*runs[:2], *runs[5:8]]).rows  # plain: seeds 0 and 1; se: 1, 2 and 3
    assert rows[1].pairs == ("seed 1", "seed 2", "seed 3")
    np.testing.assert_allclose(rows[1].differences, [0.735 - 0.72])
    assert rows[1].interval is None


def test_folds_pair_too(tmp_path):
    folds = []
    for block in (None, "se"):
        for fold in range(2):
            run = write(tmp_path, f"fold-{block}-{fold}", block=block, test={"accuracy": 0.5 + fold / 10})
            config = yaml.safe_load((run / "config.yaml").read_text())
            config["data"] = {"split_file": "folds.json", "fold": fold}
            (run / "config.yaml").write_text(yaml.safe_dump(config))
            folds.append(run)
    rows = compare(folds).rows
    assert rows[1].pairs == ("seed 0, fold 0", "seed 0, fold 1")
    assert rows[1].differences == (0, 0)


def test_what_makes_it_unfair_is_told(tmp_path, runs):
    faster = write(tmp_path, "faster", block="se", lr=0.3, test={"accuracy": 0.7}, version="2")
    twice = write(tmp_path, "twice", block="se", test={"accuracy": 0.7})
    waiting = write(tmp_path, "waiting", seed=9, block="se")
    found = compare([*runs, faster, twice, waiting])
    assert f"{waiting} is left out: it has not been tested yet" in found.notes
    assert f"{twice} is left out: {tmp_path / 'se-0'} is the same training, seed 0" in found.notes
    assert "not the network alone differs, but optimizer.lr too" in found.notes
    assert "trained by different versions of the code: 1, 2" in found.notes
    assert found.rows[-1].label == "se, optimizer.lr 0.3"


def test_the_baseline_is_chosen_by_a_run(runs):
    rows = compare(runs, metric="loss", baseline=runs[4]).rows
    assert [row.label for row in rows] == ["se", "plain", "cbam"]
    np.testing.assert_allclose(rows[1].difference, np.mean(ACCURACIES["se"]) - np.mean(ACCURACIES["null"]))


def test_the_command_prints_and_writes(runs, tmp_path, capsys):
    assert main(["compare", *map(str, runs), "--json", str(tmp_path / "out.json")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[:5] == ["plain", "1000", "4", "70.88", "±"]
    assert "the interval excludes zero for: se" in lines
    assert json.loads((tmp_path / "out.json").read_text())["rows"][1]["label"] == "se"
    assert main(["compare", *map(str, runs[:4])]) == 0
    assert "one recipe alone" in capsys.readouterr().out
    assert main(["compare", str(runs[0]), str(runs[4]), "--markdown"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("| network | parameters | runs |")
    assert "no difference can be told from chance" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{root}/nul-0"], "nul-0 is no run directory; did you mean 'null-0'"),
        (["{root}/null-0", "--metric", "acuracy"], "no test metric 'acuracy'; did you mean 'accuracy'"),
        (["{root}/null-0", "--baseline", "{root}/se-0"], "se-0 is none of the runs that are compared"),
        (["{root}/waiting"], "nothing to compare: .*waiting is left out: it has not been tested yet"),
        (["{root}/torn"], r"summary\.json cannot be read"),
    ],
)
def test_mistakes_are_told_in_one_line(arguments, message, runs, tmp_path, capsys):
    write(tmp_path, "waiting")
    (write(tmp_path, "torn") / "summary.json").write_text('{"test": {')
    assert main(["compare", *(one.format(root=tmp_path) for one in arguments)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert re.search(message, error)
