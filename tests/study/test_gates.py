"""Gates replaced at test: against a plain loop, sealed like the test, and for trials that were trained before."""

import json

import pytest
import torch
from scipy import stats

from cv_attention import training
from cv_attention.blocks.controls import gate_means, gates_replaced
from cv_attention.cli import main
from cv_attention.config import Experiment
from cv_attention.config.plain import from_plain
from cv_attention.rundir import read_sealed, sealed
from cv_attention.study import Limits, LocalEngine, make_plan, report, train
from cv_attention.study.design.trials import measured_file
from cv_attention.study.record import STUDY_FORMAT
from cv_attention.study.running.at_test import GATES_REPLACED, measure_gates
from cv_attention.training.splits import open_data
from tests.study.written import BASE, finish_all, planned, write_study

AT_TEST = {"at_test": ["gates_replaced"]}
FIGURES = {"plain": [0.70, 0.72, 0.71], "se": [0.75, 0.76, 0.77]}
DROPS = [0.10, 0.14, 0.09]  # of se's accuracy, all gates, by seed


def measured(folder, trial, drop, **other):
    """Writes what a worker measures: a network of two gates, of which the second does nothing."""
    kept = {"accuracy": 0.8125, "loss": 0.5}
    replaced = {"accuracy": 0.8125 - drop, "loss": 0.6}
    content = {"kept": kept, "all": replaced, "sites": {"layer1.map": replaced, "layer2.map": kept}, **other}
    if trial.arm == "plain":
        content = {"kept": None, "all": None, "sites": {}}
    path = measured_file(folder.run(trial.name), GATES_REPLACED)
    path.write_text(json.dumps(sealed(content, STUDY_FORMAT)))


def all_measured(tmp_path, **other):
    plan, folder = planned(tmp_path, controls=AT_TEST)
    finish_all(plan, folder, FIGURES)
    for trial in plan.trials(folder.trials, {}):
        measured(folder, trial, DROPS[trial.seed], **other)
    return plan, folder


def test_the_interval_is_students(tmp_path):
    plan, folder = all_measured(tmp_path)
    [gates] = report(plan, folder, [], print).parts[0].gates
    assert gates.arm == "se"
    assert [row.site for row in gates.rows] == ["all gates", "layer1.map", "layer2.map"]
    mean, low, high = gates.rows[0].interval
    wanted = stats.ttest_1samp([-drop for drop in DROPS], 0).confidence_interval(1 - 0.05 / 3)  # three rows
    assert mean == pytest.approx(-0.11)
    assert (low, high) == pytest.approx((wanted.low, wanted.high))
    assert gates.rows[2].interval == pytest.approx((0, 0, 0))
    text = (folder.out / "table.md").read_text()
    assert "### Gates of se replaced at test" in text
    assert f"-11.00 [{100 * low:+.2f}, {100 * high:+.2f}]" in text
    [stored] = json.loads((folder.out / "study.json").read_text())["recipes"][0]["gates_replaced"]
    assert stored["rows"][0]["values"] == pytest.approx([-drop for drop in DROPS])
    assert "-11.00" in (folder.out / "index.html").read_text()
    assert "replaced by its mean over the validation split" in (folder.out / "methods.md").read_text()


def test_what_was_measured_stays_sealed(tmp_path):
    plan, folder = all_measured(tmp_path)
    last = plan.trials(folder.trials, {})[-1]
    (folder.run(last.name) / "summary.json").unlink()
    results = report(plan, folder, [], print)
    assert results.sealed
    assert results.parts[0].gates == ()
    shown = "".join(path.read_text() for path in folder.out.iterdir())
    assert "layer1.map" not in shown
    assert "81.25" not in shown
    assert "0.8125" not in shown


def test_a_trial_counts_once_its_gates_are_measured(tmp_path):
    plan, folder = all_measured(tmp_path)
    last = plan.trials(folder.trials, {})[-1]
    measured_file(folder.run(last.name), GATES_REPLACED).unlink()
    assert report(plan, folder, [], print).sealed
    without = make_plan(write_study(tmp_path))
    assert [t.name for t in without.trials(folder.trials, {})] == [t.name for t in plan.trials(folder.trials, {})]
    assert not report(without, folder, [], print).sealed


def test_what_could_not_be_measured_is_said(tmp_path):
    plan, folder = all_measured(tmp_path)
    failed = next(trial for trial in plan.trials(folder.trials, {}) if (trial.arm, trial.seed) == ("se", 1))
    content = sealed({"error": "out of memory"}, STUDY_FORMAT)
    measured_file(folder.run(failed.name), GATES_REPLACED).write_text(json.dumps(content))
    [gates] = report(plan, folder, [], print).parts[0].gates
    assert gates.notes == ("seed 1: gates could not be replaced: out of memory",)
    assert len(gates.rows[0].values) == 2


def test_a_single_seed_has_no_interval(tmp_path):
    plan, folder = all_measured(tmp_path)
    for trial in plan.trials(folder.trials, {}):
        if trial.arm == "se" and trial.seed:
            path = measured_file(folder.run(trial.name), GATES_REPLACED)
            path.write_text(json.dumps(sealed({"error": "lost"}, STUDY_FORMAT)))
    report(plan, folder, [], print)
    assert "-10.00 " in (folder.out / "table.md").read_text()
    assert "Infinity" not in (folder.out / "study.json").read_text()


def test_a_block_that_does_nothing_is_not_asked(tmp_path):
    plan, folder = planned(tmp_path, controls={"also": ["identity"], **AT_TEST})
    asked = {trial.arm: trial.at_test for trial in plan.trials(folder.trials, {})}
    assert asked == {"plain": ("gates_replaced",), "se": ("gates_replaced",), "se+identity": ()}


def test_an_unknown_measurement_is_one_line(tmp_path, capsys):
    path = write_study(tmp_path, controls={"at_test": ["gates_replace"]})
    assert main(["study", str(path), "--root", str(tmp_path / "studies"), "--dry-run"]) == 2
    assert "controls.at_test: 'gates_replace' is unknown; did you mean 'gates_replaced'" in capsys.readouterr().err


@pytest.mark.long
def test_trained_networks_by_hand(tmp_path):
    """Trains without, asks for it afterwards, and compares with a plain loop over the test images."""
    plan, folder = planned(tmp_path, seeds=2)
    train(plan, folder, LocalEngine(2, 1), Limits(), print, [])
    plan, _ = planned(tmp_path, seeds=2, controls=AT_TEST)
    lines = []
    results = train(plan, folder, LocalEngine(2, 1), Limits(), lines.append, [])
    assert not results.sealed
    assert sum("trained" in line for line in lines) == 4  # visited, but not trained again
    trial = next(t for t in plan.trials(folder.trials, {}) if t.arm == "se")
    run = folder.run(trial.name)
    found = read_sealed(measured_file(run, GATES_REPLACED), STUDY_FORMAT)
    task = training.load(run / "weights.safetensors", task=None)
    data = open_data(task, None, "test")
    batches = [data.splits["val"].batch([(0, i)])["image"] for i in range(16)]
    means = gate_means(task.network, map(task.normalise, batches))
    site = list(means)[-1]
    test = data.splits["test"].batch([(0, i) for i in range(16)])
    with torch.no_grad(), gates_replaced(task.network, means, [site]):
        right = task.network(task.normalise(test["image"])).argmax(1) == test["label"]
    assert found["sites"][site]["accuracy"] == pytest.approx(float(right.float().mean()))
    assert set(found["sites"]) == set(means)
    summary = json.loads((run / "summary.json").read_text())
    assert found["kept"]["accuracy"] == pytest.approx(summary["test"]["accuracy"])


@pytest.mark.long
def test_weights_that_are_gone_are_a_note(tmp_path):
    experiment = from_plain(Experiment, BASE)
    measure_gates(tmp_path, experiment)
    found = read_sealed(measured_file(tmp_path, GATES_REPLACED), STUDY_FORMAT)
    assert "weights.safetensors" in found["error"]
