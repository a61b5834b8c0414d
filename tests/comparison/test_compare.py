"""Rows, tables and the reference of a comparison."""

import json
import math

import numpy as np
import pytest
import yaml
from scipy import stats

from cv_attention.cli import main
from cv_attention.comparison import compare
from tests.comparison.written import FIGURES, write, write_all


@pytest.fixture
def runs(tmp_path):
    return write_all(tmp_path)


def rows(runs, **settings):
    [table] = compare(runs, **settings).tables
    return {row.label: row for row in table.rows}


def test_means_and_differences(runs):
    found = rows(runs[::-1])
    assert list(found) == ["plain", "cbam", "se"]
    for label, block in (("plain", "null"), ("se", "se"), ("cbam", "cbam")):
        values = np.array(FIGURES[block])
        np.testing.assert_allclose([found[label].mean, found[label].deviation], [values.mean(), values.std(ddof=1)])
        assert found[label].units == ("seed 0", "seed 1", "seed 2", "seed 3")
    np.testing.assert_allclose(found["se"].difference, np.mean(FIGURES["se"]) - np.mean(FIGURES["null"]))
    assert found["plain"].difference is None
    assert found["se"].low < found["se"].difference < found["se"].high


def test_two_networks_are_a_paired_t_test(runs):
    found = rows(runs[:8])["se"]
    interval = stats.ttest_rel(FIGURES["se"], FIGURES["null"]).confidence_interval(0.95)
    np.testing.assert_allclose([found.low, found.high], list(interval))
    assert found.verdict == ("better" if interval.low > 0 else "unresolved")


def test_the_order_of_the_arguments_decides_nothing(runs):
    assert rows(runs) == rows(runs[::-1])


def test_a_lower_loss_is_better(tmp_path):
    runs = write_all(tmp_path, {"null": [0.70, 0.71, 0.705], "se": [0.80, 0.812, 0.80]})
    assert rows(runs)["se"].verdict == rows(runs, metric="loss")["se"].verdict == "better"
    assert rows(runs, metric="loss", reference="se")["plain"].verdict == "worse"


@pytest.mark.parametrize(
    ("directions", "wanted", "verdict", "noted"),
    [
        ({"mse": False}, None, "worse", False),
        ({"mse": True}, None, "better", False),
        ({"mse": True}, False, "worse", False),
        ({}, False, "worse", False),
        ({}, None, "better", True),
    ],
)
def test_what_the_runs_say_of_a_metric_decides_what_is_better(tmp_path, directions, wanted, verdict, noted):
    runs = [
        write(tmp_path, f"{block}-{seed}", seed=seed, block=block, test={"mse": value}, higher_is_better=directions)
        for block, values in ((None, [0.10, 0.11, 0.105]), ("se", [0.20, 0.212, 0.204]))
        for seed, value in enumerate(values)
    ]
    found = compare(runs, metric="mse", higher_is_better=wanted)
    assert found.tables[0].rows[1].verdict == verdict
    assert found.higher_is_better == (verdict == "better")
    assert any("no run says whether higher or lower mse is better" in note for note in found.notes) == noted
    command = ["compare", *map(str, runs), "--metric", "mse", "--json", str(tmp_path / "found.json")]
    assert main([*command, *(["--lower-is-better"] if wanted is False else [])]) == 0
    assert json.loads((tmp_path / "found.json").read_text())["tables"][0]["rows"][1]["verdict"] == verdict


@pytest.mark.parametrize("by", ["label", "run"])
def test_the_reference_has_a_name(runs, by):
    found = compare(runs, reference="se" if by == "label" else runs[5]).tables[0]
    assert found.reference == found.rows[0].label == "se"
    assert {row.label for row in found.rows[1:]} == {"plain", "cbam"}


def test_a_cost_matched_plain_network_does_not_become_the_reference(tmp_path, runs):
    wide = write_all(tmp_path, {"null": FIGURES["null"]}, "a-wide-", fields={"model.options": {"width": 18}})
    with pytest.raises(ValueError, match="2 networks have no block, so the reference must be named") as error:
        compare([*wide, *runs])
    narrow = "plain, model.options {}"
    assert f"'{narrow}'" in str(error.value)
    found = rows([*wide, *runs], reference=narrow)
    assert set(found) == {
        narrow,
        'plain, model.options {"width": 18}',
        "se, model.options {}",
        "cbam, model.options {}",
    }
    assert rows([*wide, *runs], reference=runs[0]) == found


def test_without_a_plain_network_the_reference_must_be_named(runs):
    with pytest.raises(ValueError, match=r"every network has a block.*'cbam', 'se'"):
        compare(runs[4:])
    assert rows(runs[4:], reference="se")["cbam"].difference is not None


def test_one_network_is_a_row_without_a_verdict(runs):
    assert [row.verdict for row in rows(runs[:4]).values()] == ["none"]


def test_a_failed_run_counts_in_its_row(tmp_path, runs):
    stopped = write(tmp_path, "stopped", seed=4, block="se")
    diverged = write(tmp_path, "diverged", seed=5, block="se", test={"accuracy": math.nan})
    never = write(tmp_path, "never", seed=0, block="eca")
    found = compare([*runs, stopped, diverged, never]).tables[0]
    by_label = {row.label: row for row in found.rows}
    assert by_label["se"].unfinished == (str(diverged), str(stopped))
    assert len(by_label["se"].values) == 4
    assert (by_label["eca"].unfinished, by_label["eca"].mean, by_label["eca"].verdict) == ((str(never),), None, "none")
    assert by_label["eca"].reason == "no finished run"
    [note] = [note for note in found.notes if note.startswith("se: without a result")]
    assert str(stopped) in note
    assert str(diverged) in note


def test_a_run_that_was_trained_again_is_no_failure(tmp_path, runs):
    stopped = write(tmp_path, "first-try", seed=1, block="se")
    assert rows([stopped, *runs])["se"].unfinished == ()


def test_the_second_run_of_a_seed_is_left_out_and_said_so(tmp_path, runs):
    twice = write(tmp_path, "twice", block="se", test={"accuracy": 0.9})
    found = compare([*runs, twice]).tables[0]
    assert f"{twice} is left out: {runs[4]} is the same network with seed 0" in found.notes
    assert len({row.label: row for row in found.rows}["se"].values) == 4
    assert rows([*runs, runs[0]]) == rows(runs)  # the same directory twice


def test_missing_seeds_are_told(runs):
    found = compare([*runs[:4], *runs[5:]]).tables[0]
    assert "se lacks seed 0, which other rows have" in found.notes
    assert {row.label: row for row in found.rows}["se"].low is not None


def test_seeds_in_common_with_nobody_give_no_verdict(tmp_path, runs):
    other = [write(tmp_path, f"o{s}", seed=s, block="se", test={"accuracy": 0.7 + s / 100}) for s in (8, 9)]
    assert rows([*runs[:4], *other])["se"].reason == "no seed in common with the reference"


def test_folds_are_units_and_their_variance_is_corrected(tmp_path):
    generator = np.random.default_rng(0)
    figures = {block: generator.normal(0.7, 0.02, (5, 2)) for block in (None, "se")}
    runs = [
        write(tmp_path, f"{block}-{fold}-{seed}", seed=seed, block=block, test={"accuracy": float(values[fold, seed])},
              fields={"data.split_file": "folds.json", "data.fold": fold})
        for block, values in figures.items() for fold in range(5) for seed in range(2)
    ]  # fmt: skip
    [table] = compare(runs).tables
    row = table.rows[1]
    assert table.folds
    assert row.units == tuple(f"fold {fold}" for fold in range(5))
    differences = figures["se"].mean(1) - figures[None].mean(1)
    half = stats.t.ppf(0.975, 4) * ((1 / 5 + 1 / 4) * differences.var(ddof=1)) ** 0.5
    np.testing.assert_allclose([row.low, row.high], [differences.mean() - half, differences.mean() + half])


def test_seeds_of_a_single_fold_are_seeds(tmp_path, runs):
    held = {"data.split_file": "folds.json", "data.fold": 2}
    folded = write_all(tmp_path / "fold", fields=held)
    [table] = compare(folded).tables
    assert not table.folds
    assert [row.low for row in table.rows] == [row.low for row in rows(runs).values()] or table.rows[1].low is not None


def test_recipes_have_tables_of_their_own_and_the_interaction_is_told(tmp_path):
    weak = write_all(tmp_path, {"null": [0.70, 0.71, 0.705], "se": [0.75, 0.76, 0.757]})
    strong = {"null": [0.80, 0.81, 0.805], "se": [0.80, 0.812, 0.807]}
    runs = [*weak, *write_all(tmp_path, strong, "strong-", fields={"data.mixup": 0.2})]
    found = compare(runs)
    assert [table.title for table in found.tables] == ["data.mixup 0", "data.mixup 0.2"]
    assert [table.rows[1].verdict for table in found.tables] == ["better", "unresolved"]
    assert found.interaction < 0.01
    assert found.notes == ("2 tables, because the runs differ not only in the network but also in data.mixup",)
    together = compare(runs, across_recipes=True, reference="plain, data.mixup 0").tables
    assert [row.label for row in together[0].rows] == [
        "plain, data.mixup 0", "se, data.mixup 0", "plain, data.mixup 0.2", "se, data.mixup 0.2"
    ]  # fmt: skip


def test_one_network_under_several_recipes_is_a_table_of_recipes(tmp_path):
    runs = write_all(tmp_path, {"null": [0.70, 0.71, 0.705]})
    runs += write_all(tmp_path, {"null": [0.75, 0.76, 0.757]}, "fast-", fields={"optimizer.lr": 0.3})
    found = rows(runs, reference="plain, optimizer.lr 0.1")
    assert found["plain, optimizer.lr 0.3"].verdict == "better"


def test_a_recipe_without_the_reference_has_no_verdicts(tmp_path, runs):
    alone = write(tmp_path, "alone", block="se", fields={"optimizer.lr": 0.3}, test={"accuracy": 0.9})
    found = compare([*runs, alone])
    assert [table.reference for table in found.tables] == ["plain", None]
    assert found.tables[1].rows[0].reason == "no reference under this recipe"


def test_other_hardware_versions_and_precision_are_told(tmp_path):
    machine = {"accelerator": "cuda", "device": "H100", "devices": 1, "precision": "bf16-mixed"}
    cpu = {"accelerator": "cpu", "device": "EPYC", "devices": 1, "threads": 2, "precision": "32-true"}
    runs = write_all(tmp_path, {"null": [0.7, 0.71]}, hardware=machine)
    runs += write_all(tmp_path, {"se": [0.7, 0.71]}, hardware=cpu, provenance={"cv_attention": "2", "torch": "3"})
    [table] = compare(runs).tables
    assert [row.hardware for row in table.rows] == [("H100, bf16-mixed",), ("EPYC, 2 threads, 32-true",)]
    [note] = [note for note in table.notes if "different hardware or with different precision" in note]
    assert "plain: H100, bf16-mixed; se: EPYC, 2 threads, 32-true" in note
    assert "trained with different versions of the code: 1, 2" in table.notes
    assert "trained with different versions of torch: 2, 3" in table.notes


def test_older_runs_tell_precision_by_their_configuration(tmp_path):
    runs = write_all(tmp_path, {"null": [0.7, 0.71]}, fields={"trainer.precision": "bf16-mixed"})
    runs += write_all(tmp_path, {"se": [0.7, 0.71]}, fields={"trainer.precision": "32-true"})
    [table] = compare(runs).tables
    assert "trainer.precision differs: plain: bf16-mixed; se: 32-true" in table.notes


def test_unequal_spreads_are_told(tmp_path):
    runs = write_all(tmp_path, {"null": [0.7, 0.701, 0.7, 0.701], "se": [0.6, 0.8, 0.7, 0.75], "eca": FIGURES["null"]})
    assert any(note.startswith("the runs of se seem to spread") for note in compare(runs).tables[0].notes)


def test_validation_figures_are_those_of_the_summary(tmp_path):
    runs = [
        write(tmp_path, f"{block}{seed}", seed=seed, block=block, test={"accuracy": 0.5},
              validation={"accuracy": 0.6 + seed / 100 + (block is not None) / 10, "epoch": 3})
        for block in (None, "se") for seed in range(2)
    ]  # fmt: skip
    found = rows(runs, split="val")
    np.testing.assert_allclose(found["se"].values, [0.7, 0.71])
    with pytest.raises(ValueError, match="no val metric 'los'; expected one of accuracy"):
        compare(runs, split="val", metric="los")


def test_older_runs_have_validation_figures_in_their_curves(tmp_path):
    run = write(tmp_path, "old", test={"accuracy": 0.5})
    (run / "metrics/0").mkdir(parents=True)
    lines = ["epoch,step,val_accuracy,val_loss", "0,9,0.5,1.0", "1,19,0.7,0.8", "2,29,0.7,0.7", "3,39,0.6,0.9"]
    (run / "metrics/0/metrics.csv").write_text("\n".join(lines) + "\n")
    assert rows([run], split="val")["plain"].values == (0.7,)
    assert rows([run], split="val", metric="loss")["plain"].values == (0.8,)  # of the first of the best epochs
    unfinished = write(tmp_path, "unfinished", seed=1)
    (unfinished / "metrics").mkdir()
    assert rows([run, unfinished], split="val")["plain"].unfinished == (str(unfinished),)


def test_a_tested_epoch_that_was_not_validated_has_no_validation_figures_of_another(tmp_path):
    validated = write(tmp_path, "validated", test={"accuracy": 0.5}, validation={"accuracy": 0.6, "epoch": 4})
    run = write(tmp_path, "skipped", seed=1, test={"accuracy": 0.5}, validation={})
    (run / "metrics/0").mkdir(parents=True)
    (run / "metrics/0/metrics.csv").write_text("epoch,step,val_accuracy\n1,19,0.9\n")
    assert rows([validated, run], split="val")["plain"].values == (0.6,)


def test_everything_is_plain_values(runs):
    assert json.loads(json.dumps(compare(runs).to_dict()))["tables"][0]["reference"] == "plain"


def test_a_run_of_an_older_version_lacks_newer_fields(tmp_path, runs):
    config = yaml.safe_load((runs[0] / "config.yaml").read_text())
    config["model"] |= {"init": "plain"}
    config["data"] |= {"flip_test": False, "workers": 4}
    (runs[0] / "config.yaml").write_text(yaml.safe_dump(config))
    assert len(rows(runs)) == 3


def test_costs_of_a_row_are_those_of_its_finished_runs(tmp_path):
    """A run that was stopped early was quick; what a network has of parameters, every run of it says."""
    figures = {"training_seconds": (100.0, 300.0, 120.0), "images_per_second": (50.0, 20.0, 40.0)}
    for seed in range(3):
        costs = {name: values[seed] for name, values in figures.items()}
        write(tmp_path, f"plain-{seed}", seed=seed, test={"accuracy": 0.7}, **costs)
    for seed in (3, 4):
        write(tmp_path, f"plain-{seed}", seed=seed, training_seconds=1.0, images_per_second=1.0)
    row = rows(sorted(tmp_path.iterdir()))["plain"]
    assert (row.training_seconds, row.images_per_second) == (120.0, 40.0)
    assert (row.parameters, row.flops) == (1000, 2_000_000)
    assert len(row.unfinished) == 2
