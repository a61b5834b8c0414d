"""Damaged or odd files in run directories: one line says what is wrong, and nothing is silently left out."""

import csv
import json
import math
from typing import Any

import numpy as np
import pytest
import yaml

from cv_attention.cli.entry import main
from cv_attention.comparison import compare
from cv_attention.rundir.summary import checksums
from tests.comparison.written import write, write_all

TWO = {"null": [0.70, 0.71, 0.72], "se": [0.72, 0.735, 0.73]}


@pytest.fixture
def runs(tmp_path):
    return write_all(tmp_path, TWO)


def change(run, **fields):
    path = run / "summary.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def predictions(run, **fields):
    accuracy = json.loads((run / "summary.json").read_text())["test"]["accuracy"]
    arrays = {"name": np.arange(200).astype(str), "label": np.zeros(200, int), "probability": np.full(200, 0.5)}
    arrays["predicted"] = (np.arange(200) >= round(200 * accuracy)).astype(int)
    content: Any = arrays | fields
    np.savez(run / "predictions.npz", **content)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"test": [1]}, r"test must be a mapping of names to values, got \[1\]"),
        ({"test": {"accuracy": "0.7"}}, "test.accuracy must be a number, got '0.7'"),
        ({"test": {"accuracy": True}}, "test.accuracy must be a number, got True"),
        ({"test": {"accuracy": 70.5}}, "test accuracy must lie between 0 and 1, got 70.5"),
        ({"validation": "x"}, "validation must be a mapping"),
        ({"data": "x"}, "data must be a mapping"),
        ({"data": {"folds": [1]}}, "data.folds must be a mapping"),
        ({"data": {"folds": {"count": "5"}}}, "data.folds.count must be a whole number, got '5'"),
        ({"data": {"fingerprint": ["a"]}}, "data.fingerprint must be text"),
        ({"provenance": [1]}, "provenance must be a mapping"),
        ({"provenance": {"torch": 3}}, "provenance.torch must be text, got 3"),
        ({"hardware": "x"}, "hardware must be a mapping"),
        ({"hardware": {"devices": "a"}}, "hardware.devices must be a whole number"),
        ({"training_seconds": "fast"}, "training_seconds must be a number, got 'fast'"),
        ({"flops": [1] * 100}, r"flops must be a number, got \[1, .*\.\.\.$"),
    ],
)
def test_a_value_of_the_wrong_kind_is_answered_in_one_line(runs, capsys, fields, message):
    change(runs[3], **fields)
    assert main(["compare", *map(str, runs)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert str(runs[3]) in error
    with pytest.raises(ValueError, match=message):
        compare(runs)


@pytest.mark.parametrize("name", ["seed", "data.fold"])
@pytest.mark.parametrize("value", [True, 1.0, "1", None, [1]], ids=repr)
def test_what_pairs_the_runs_is_a_whole_number(runs, name, value):
    config = yaml.safe_load((runs[3] / "config.yaml").read_text())
    *groups, last = name.split(".")
    for group in reversed(groups):
        last, value = group, {last: value}
    (runs[3] / "config.yaml").write_text(yaml.safe_dump({**config, last: value}))
    with pytest.raises(ValueError, match=rf"config\.yaml: {name} must be a whole number, got "):
        compare(runs)


def test_nested_too_deeply_is_answered_in_one_line(runs):
    (runs[3] / "summary.json").write_text("[" * 100_000)
    with pytest.raises(ValueError, match=r"summary\.json cannot be read"):
        compare(runs)


@pytest.mark.parametrize("value", [math.nan, math.inf, None])
def test_costs_that_are_not_finite_are_unknown(runs, capsys, value):
    for run in runs:
        change(run, training_seconds=value, images_per_second=value, flops=value, parameters=value)
    assert main(["compare", *map(str, runs)]) == 0
    assert "training (s)" not in capsys.readouterr().out


@pytest.mark.parametrize("value", [math.nan, math.inf, None, 10**400, -1e300])
def test_a_figure_that_is_not_finite_is_no_result(runs, value):
    change(runs[3], test={"accuracy": value, "loss": 1.0})
    assert compare(runs).tables[0].rows[1].unfinished == (str(runs[3]),)


@pytest.mark.parametrize("text", ["2020-01-01", "!!set {a}", "[1, 2]", '"{bad"', "{class_path: a.B, init_args: [1]}"])
def test_odd_blocks_have_a_row(runs, text):
    (runs[3] / "config.yaml").write_text(f"seed: 0\ndata: {{name: folder, root: data/a}}\nmodel: {{block: {text}}}\n")
    assert len(compare(runs).tables[0].rows) == 3


def test_a_truth_value_is_no_seed(runs):
    (runs[3] / "config.yaml").write_text("seed: true\n")
    with pytest.raises(ValueError, match="seed must be a whole number, got True"):
        compare(runs)


@pytest.mark.parametrize("name", ["name", "label", "predicted", "probability"])
def test_predictions_of_unequal_length_are_named(runs, name):
    predictions(runs[3], **{name: np.zeros(3)})
    with pytest.raises(ValueError, match=r"predictions\.npz cannot be read: its arrays must have one value for each"):
        compare(runs)


def test_torn_predictions_are_named_as_such(runs):
    (runs[3] / "predictions.npz").write_bytes(b"PK12")
    with pytest.raises(ValueError, match=r"predictions\.npz cannot be read: it is not a complete \.npz file"):
        compare(runs)


def test_predictions_of_another_test_are_not_used_and_it_is_said(runs):
    for run in runs:
        predictions(run)
    assert not any("predictions.npz" in note for note in compare(runs).tables[0].notes)
    predictions(runs[3], predicted=np.ones(200, int))
    note = f"{runs[3]}/predictions.npz does not belong to the test in summary.json, so it is not used"
    assert note in compare(runs).tables[0].notes
    with pytest.raises(ValueError, match=r"'probability': .* does not belong to the test in summary\.json"):
        compare(runs, metric="probability")
    (runs[3] / "predictions.npz").unlink()
    with pytest.raises(ValueError, match=r"'probability': it is computed from predictions\.npz, which is missing"):
        compare(runs, metric="probability")


def test_probabilities_that_are_not_finite_are_no_result(runs):
    for run in runs:
        predictions(run)
    predictions(runs[3], probability=np.full(200, np.nan))
    row = compare(runs, metric="probability").tables[0].rows[1]
    assert (len(row.runs), row.unfinished) == (2, (str(runs[3]),))


def test_odd_names_break_neither_tables_nor_spreadsheets(runs, tmp_path, capsys):
    runs += [write(tmp_path, f"odd{s}", seed=s, block="=a|b\nc\x1b[1m", test={"accuracy": 0.7}) for s in range(3)]
    assert main(["compare", *map(str, runs), "--markdown", "--csv", str(tmp_path / "out.csv")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("| =a\\|b c [1m ") for line in lines)
    assert len({line.replace("\\|", "").count("|") for line in lines if line.startswith("|")}) == 1
    with (tmp_path / "out.csv").open(newline="") as file:
        assert "'=a|b\nc\x1b[1m" in [line["label"] for line in csv.DictReader(file)]


def test_an_epoch_is_no_metric(tmp_path):
    run = write(tmp_path, "one", test={"accuracy": 0.5}, validation={"accuracy": 0.6, "epoch": 3})
    with pytest.raises(ValueError, match="no val metric 'epoch'"):
        compare([run], split="val", metric="epoch")


@pytest.mark.parametrize("unit", [1e-7, 1e9])
def test_metrics_of_any_size_are_readable(tmp_path, capsys, unit):
    runs = [
        write(tmp_path, f"{block}-{seed}", seed=seed, block=block,
              test={"loss": unit * (1 + seed + (block is not None) * seed**2 / 7)})
        for block in (None, "se") for seed in range(3)
    ]  # fmt: skip
    assert main(["compare", *map(str, runs), "--metric", "loss"]) == 0
    [line] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("plain")]
    assert " ".join(line.split()).startswith(f"plain 3 {2 * unit:.3g} ± {unit:.3g} ")


def test_a_changed_configuration_is_named_where_it_makes_the_reference_ambiguous(tmp_path, capsys):
    plain = [write(tmp_path, f"plain-{seed}", seed=seed, test={"accuracy": 0.7}) for seed in range(2)]
    other = plain[0]
    change(other, files=checksums(other))
    (other / "config.yaml").write_text("seed: 1\nmodel: {options: {width: 4}}\n")
    assert main(["compare", *map(str, plain)]) == 2
    error = capsys.readouterr().err
    assert "the reference must be named" in error
    assert error.strip().endswith(f"{other}: config.yaml has changed since it was written")
