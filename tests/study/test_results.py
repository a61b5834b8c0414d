"""What a study shows of its results: what `compare` and hand calculation say, and nothing of the test too early."""

import csv
import json
import shutil
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from benchmarks.faults.hostile_studies import RECORDS
from cv_attention.cli import main
from cv_attention.comparison import compare
from cv_attention.rundir import sealed
from cv_attention.statistics import interaction, judge
from cv_attention.study import Record, make_plan, report
from cv_attention.study.design.trials import record_failure
from cv_attention.study.record import STUDY_FORMAT
from tests.quick import quick_first
from tests.study.written import finish, finish_all, planned, write_study

FIGURES = {"plain": [0.70, 0.72, 0.71], "se": [0.75, 0.76, 0.77]}
SECRET = {"plain": [0.61234, 0.61235, 0.61236], "se": [0.69871, 0.69872, 0.69873]}


def reported(plan, folder):
    lines = []
    return report(plan, folder, ["cv-attention study toy.yaml"], lines.append), lines


def test_verdicts_are_those_of_compare(tmp_path):
    plan, folder = planned(tmp_path)
    finish_all(plan, folder, FIGURES)
    results, _ = reported(plan, folder)
    runs = [folder.run(trial.name) for trial in plan.trials(folder.trials, {})]
    [table], [wanted] = results.parts[0].main.tables, compare(runs, margin=0.005).tables
    for own, other in zip(table.rows, wanted.rows, strict=True):
        assert vars(own) == vars(other)
    by_hand = judge(np.array([FIGURES["plain"], FIGURES["se"]]), margin=0.005).arms[1]
    assert (table.rows[1].low, table.rows[1].verdict) == (pytest.approx(by_hand.low), "better")
    text = (folder.out / "table.md").read_text()
    assert "| se " in text
    assert "better by at least" in text
    assert (
        str(tmp_path) not in text + (folder.out / "study.json").read_text() + (folder.out / "results.csv").read_text()
    )


def test_arms_keep_their_names_where_they_differ_in_the_recipe_alone(tmp_path):
    networks = {"plain": {}, "longer": {"trainer.max_epochs": 2}, "se": {"model.block": "se"}}
    plan, folder = planned(tmp_path, networks=networks, reference="plain")
    finish_all(plan, folder, {**FIGURES, "longer": [0.71, 0.74, 0.71]})
    results, _ = reported(plan, folder)
    [table] = results.parts[0].main.tables
    assert [row.label for row in table.rows] == ["plain", "longer", "se"]


def all_that_is_shown(file, root, capsys, *options):
    """Everything that the tool prints and writes."""
    for command in ("--status", "--report"):
        assert main(["study", str(file), "--root", str(root), command, *options]) == 0
    printed = "".join(capsys.readouterr())
    return printed + "".join(path.read_text() for path in sorted((root / "toy").iterdir()))


def test_a_screen_never_opens_the_test_and_takes_other_seeds(tmp_path, capsys):
    plan, folder = planned(tmp_path, screen=True, seeds=3)
    assert plan.seeds == (1_000_000, 1_000_001, 1_000_002)
    assert plan.seeds != planned(tmp_path / "confirming", seeds=3)[0].seeds
    for trial in plan.trials(folder.trials, {}):
        number = plan.seeds.index(trial.seed)
        finish(trial, folder.run(trial.name), SECRET[trial.arm][number], FIGURES[trial.arm][number])
    shown = all_that_is_shown(plan.path, folder.root, capsys)
    for value in (*SECRET["plain"], *SECRET["se"]):
        assert f"{value}"[:6] not in shown
        assert f"{100 * value:.2f}" not in shown
    table = (folder.out / "table.md").read_text()
    assert "A screen of 2 arms: validation results of 3 of 3 blocks" in table
    assert "71.00 ± 1.00" in table  # mean and standard deviation of plain's validation figures
    assert "judged on the validation split" in report(plan, folder, [], print, write=False)._repr_html_()
    assert not Record.read(folder.plan).opened


@pytest.mark.parametrize("missing", [1, pytest.param(3, marks=pytest.mark.long)])
def test_test_results_cannot_be_read_before_all_blocks_are_complete(missing, tmp_path, capsys):
    plan, folder = planned(tmp_path, controls={"also": ["identity", "shuffled_gate"]})
    left = list(plan.trials(folder.trials, {}))[-missing:]
    for trial in plan.trials(folder.trials, {}):
        if trial not in left:
            known = SECRET["se" if "se" in trial.arm else "plain"][trial.seed]
            used = {"predictions_changed": known, "images": 16, "blocks": []}
            finish(trial, folder.run(trial.name), known, 0.5 + 0.01 * trial.seed, in_use=used)
    shown = all_that_is_shown(plan.path, folder.root, capsys)
    assert "sealed" in shown
    assert "validation" in shown
    for value in (*SECRET["plain"], *SECRET["se"]):
        for digits in (f"{value}", f"{value:.4f}", f"{100 * value:.2f}", f"{100 * value:.1f}"):
            assert digits not in shown
    assert not Record.read(folder.plan).opened
    for trial in left:
        finish(trial, folder.run(trial.name), 0.61234, 0.5)
    shown = all_that_is_shown(plan.path, folder.root, capsys)
    assert "61.23" in shown
    assert Record.read(folder.plan).opened


@pytest.mark.parametrize("name", quick_first(RECORDS, 8))
def test_a_record_that_somebody_has_changed_is_one_line_or_harmless(name, tmp_path, capsys):
    plan, folder = planned(tmp_path)
    finish_all(plan, folder, FIGURES)
    assert main(["study", str(plan.path), "--root", str(folder.root), "--report"]) == 0
    content = json.loads(folder.plan.read_text()) | RECORDS[name]
    folder.plan.write_text(json.dumps(sealed(content, STUDY_FORMAT)))
    capsys.readouterr()
    code = main(["study", str(plan.path), "--root", str(folder.root), "--status"])
    printed = capsys.readouterr()
    assert "\x1b" not in printed.out + printed.err
    assert code in (0, 2)
    if code:
        assert printed.err.startswith(f"cv-attention: error: {folder.plan}")
        assert printed.err.count("\n") == 1


def test_a_study_that_another_version_began_says_so(tmp_path, capsys):
    plan, folder = planned(tmp_path)
    finish_all(plan, folder, FIGURES)
    assert main(["study", str(plan.path), "--root", str(folder.root), "--report"]) == 0
    content = json.loads(folder.plan.read_text()) | {"cv_attention": "0.0.1"}
    folder.plan.write_text(json.dumps(sealed(content, STUDY_FORMAT)))
    shutil.rmtree(folder.trials)  # those of this version, which has others
    capsys.readouterr()
    assert main(["study", str(plan.path), "--root", str(folder.root), "--status"]) == 0
    assert "note: last planned by version 0.0.1, but this is" in capsys.readouterr().out


def test_a_reason_from_a_file_does_not_control_the_terminal(tmp_path, capsys):
    plan, folder = planned(tmp_path)
    finish_all(plan, folder, {"plain": FIGURES["plain"], "se": [None] * 3})
    failed = next(trial for trial in plan.trials(folder.trials, {}) if trial.arm == "se")
    (folder.run(failed.name) / "failed.json").write_text(json.dumps({"reason": "\x1b[2Jgone"}))
    assert main(["study", str(plan.path), "--root", str(folder.root), "--status"]) == 0
    assert "\\x1b[2Jgone" in capsys.readouterr().out


def test_a_failed_trial_counts_with_its_reason(tmp_path):
    plan, folder = planned(tmp_path)
    finish_all(plan, folder, {"plain": FIGURES["plain"], "se": [0.75, None, 0.77]})
    results, _ = reported(plan, folder)
    assert not results.sealed
    row = results.parts[0].main.tables[0].rows[1]
    assert (len(row.runs), len(row.unfinished)) == (2, 1)
    text = (folder.out / "table.md").read_text()
    assert "2 + 1 without a result" in text
    assert "- se, seed 1: NonFiniteLoss: the loss is nan" in text
    rows = csv.DictReader((folder.out / "results.csv").read_text().splitlines())
    [line] = [row for row in rows if row["state"] == "failed"]
    assert (line["arm"], line["seed"], line["reason"]) == ("se", "1", "NonFiniteLoss: the loss is nan")


def test_an_arm_of_which_all_have_failed_stays_in_the_table(tmp_path):
    plan, folder = planned(tmp_path)
    finish_all(plan, folder, {"plain": FIGURES["plain"], "se": [None] * 3})
    reported(plan, folder)
    text = (folder.out / "table.md").read_text()
    assert "0 + 3 without a result" in text
    assert "Failed: 3 training runs" in text


def test_everything_failed(tmp_path):
    plan, folder = planned(tmp_path)
    finish_all(plan, folder, {"plain": [None] * 3, "se": [None] * 3})
    reported(plan, folder)
    assert "Failed: 6 training runs" in (folder.out / "table.md").read_text()


def test_an_identity_that_equals_plain_is_honest_and_stays_out_of_the_spread(tmp_path):
    plan, folder = planned(tmp_path, controls={"also": ["identity"]})
    finish_all(plan, folder, {**FIGURES, "se+identity": FIGURES["plain"]})
    results, _ = reported(plan, folder)
    [part] = results.parts
    assert part.honest == ("A/A: se+identity equals plain in all 3 seeds, as a block that does nothing must",)
    by_hand = judge(np.array([FIGURES["plain"], FIGURES["se"]]))
    assert part.main.tables[0].residual == pytest.approx(by_hand.deviation)


def test_an_identity_that_differs_is_not_honest(tmp_path):
    plan, folder = planned(tmp_path, controls={"also": ["identity"]})
    finish_all(plan, folder, {**FIGURES, "se+identity": [0.90, 0.921, 0.911]})
    results, _ = reported(plan, folder)
    assert "no verdict of this study counts" in results.parts[0].honest[0]


def test_controls_are_compared_with_their_network_too(tmp_path):
    plan, folder = planned(tmp_path, controls={"also": ["shuffled_gate"]})
    shuffled = [0.70, 0.715, 0.712]
    finish_all(plan, folder, {**FIGURES, "se+shuffled_gate": shuffled})
    results, _ = reported(plan, folder)
    row = results.parts[0].controls["se"].tables[0].rows[1]
    assert row.label == "se+shuffled_gate"
    assert row.difference == pytest.approx(np.mean(shuffled) - np.mean(FIGURES["se"]))


def test_two_recipes_have_two_tables_and_an_interaction(tmp_path):
    plan, folder = planned(tmp_path, recipes={"weak": {}, "strong": {"optimizer.ema": 0.9}})
    shift = {"weak": 0.0, "strong": 0.1}
    values = {name: np.zeros((2, 3)) for name in shift}
    for trial in plan.trials(folder.trials, {}):
        value = FIGURES[trial.arm][trial.seed] + shift[trial.recipe] * (trial.arm == "se")
        values[trial.recipe][list(FIGURES).index(trial.arm), trial.seed] = value
        finish(trial, folder.run(trial.name), value)
    results, _ = reported(plan, folder)
    assert [part.recipe for part in results.parts] == ["weak", "strong"]
    assert results.interaction == pytest.approx(interaction(values["weak"], values["strong"], 0))
    assert "the differences depend on the recipe" in (folder.out / "table.md").read_text()


def test_a_changed_margin_is_noted_once_the_results_were_opened(tmp_path):
    plan, folder = planned(tmp_path)
    finish_all(plan, folder, FIGURES)
    reported(plan, folder)
    plan, _ = planned(tmp_path, margin=2.0)
    _, lines = reported(plan, folder)
    assert any("after the test results had been opened" in line for line in lines)
    text = (folder.out / "table.md").read_text()
    assert "after the test results had been opened: margin: 0.5 -> 2.0" in text
    reported(plan, folder)
    assert (folder.out / "table.md").read_text() == text
    assert "margin: 0.5 -> 2.0" in (folder.out / "methods.md").read_text()


def test_a_margin_changed_before_is_no_fault(tmp_path):
    plan, folder = planned(tmp_path)
    finish_all(plan, folder, {name: values[:2] for name, values in FIGURES.items()})
    reported(plan, folder)
    plan, _ = planned(tmp_path, margin=2.0)
    finish_all(plan, folder, FIGURES)
    results, lines = reported(plan, folder)
    assert any("margin: 0.5 -> 2.0" in line for line in lines)
    assert not results.notes


def test_more_seeds_after_opening_are_noted_and_sealed_again(tmp_path):
    plan, folder = planned(tmp_path)
    finish_all(plan, folder, FIGURES)
    reported(plan, folder)
    plan, _ = planned(tmp_path, seeds=5)
    results, _ = reported(plan, folder)
    assert (results.sealed, results.blocks, results.planned) == (True, 3, 5)
    assert "seeds: [0, 1, 2] -> [0, 1, 2, 3, 4]" in results.notes[0]


def test_a_changed_base_leaves_old_trials_out(tmp_path):
    plan, folder = planned(tmp_path)
    finish_all(plan, folder, FIGURES)
    reported(plan, folder)
    base = (tmp_path / "base.yaml").read_text().replace("max_epochs: 1", "max_epochs: 2")
    (tmp_path / "base.yaml").write_text(base)
    results, lines = reported(make_plan(tmp_path / "toy.yaml"), folder)
    assert any("base.trainer.max_epochs: 1 -> 2" in line for line in lines)
    assert (results.sealed, results.blocks) == (True, 0)


def test_a_moved_folder_says_the_same(tmp_path):
    plan, folder = planned(tmp_path / "here")
    finish_all(plan, folder, FIGURES)
    reported(plan, folder)
    shutil.move(tmp_path / "here", tmp_path / "there")
    plan, there = planned(tmp_path / "there")
    before = {path.name: path.read_text() for path in there.out.iterdir()}
    reported(plan, there)
    assert {path.name: path.read_text() for path in there.out.iterdir()} == before


def test_charts_hold_every_arm_as_text(tmp_path):
    plan, folder = planned(tmp_path)
    finish_all(plan, folder, FIGURES)
    reported(plan, folder)
    for name in ("forest.svg", "front.svg"):
        root = ET.fromstring((folder.out / name).read_text())
        texts = ["".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")]
        assert "se" in texts
        assert any(text.startswith("Test accuracy") for text in texts)


def test_study_json_is_sealed_and_has_a_format(tmp_path):
    plan, folder = planned(tmp_path)
    finish_all(plan, folder, FIGURES)
    reported(plan, folder)
    content = json.loads((folder.out / "study.json").read_text())
    assert content["format"] == 1
    assert [trial["test"]["accuracy"] for trial in content["trials"]] == [*FIGURES["plain"], *FIGURES["se"]]
    (folder.out / "plan.json").write_text((folder.out / "plan.json").read_text().replace("0.5", "0.6", 1))
    with pytest.raises(ValueError, match="damaged"):
        reported(plan, folder)


def test_a_study_called_trials_is_refused(tmp_path, capsys):
    file = write_study(tmp_path, name="trials.yaml")
    assert main(["study", str(file), "--root", str(tmp_path / "s"), "--status"]) == 2
    assert "cannot be called 'trials'" in capsys.readouterr().err


def test_files_hold_no_paths_of_the_machine(tmp_path):
    plan, folder = planned(tmp_path)
    finish_all(plan, folder, {"plain": FIGURES["plain"], "se": [0.75, 0.76]})
    [left] = [trial for trial in plan.trials(folder.trials, {}) if not folder.run(trial.name).exists()]
    run = folder.run(left.name)
    record_failure(run, left.experiment, f"NonFiniteLoss: see {run}/nonfinite.json; fit --resume {run}")
    results, _ = reported(plan, folder)
    assert str(run) in results.failed[0].reason  # for the terminal
    written = {path.name: path.read_text() for path in folder.out.iterdir()}
    assert [name for name, text in written.items() if str(tmp_path) in text] == []
    assert f"see trials/{left.name}/nonfinite.json" in written["results.csv"]
