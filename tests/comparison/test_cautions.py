"""Cautions of a comparison, in addition to its verdicts."""

import math

import pytest

from cv_attention.cli.entry import main
from cv_attention.comparison import compare
from tests.comparison.written import write, write_all

TWO = {"null": [0.70, 0.71, 0.72], "se": [0.72, 0.735, 0.73]}
CPU = {"accelerator": "cpu", "device": "EPYC", "devices": 1, "threads": 2, "precision": "32-true"}


def notes(runs, **settings):
    return compare(runs, **settings).tables[0].notes


def reasons(runs):
    return {row.label: row.reason for row in compare(runs).tables[0].rows}


def test_who_lacks_runs_is_said(tmp_path):
    se = write_all(tmp_path, {"se": TWO["se"]})
    assert reasons([write(tmp_path, "plain"), *se])["se"] == "no finished run of the reference"
    one = write(tmp_path, "one", test={"accuracy": 0.7})
    assert reasons([one, *se])["se"] == "only one seed of the reference: no spread to judge by"


def test_a_run_that_ended_without_a_figure_is_not_forgotten(tmp_path):
    runs = write_all(tmp_path, TWO)
    lost = write(tmp_path, "again", seed=0, block="se", test={"accuracy": math.nan})
    assert f"{lost} ended without a finite figure; {runs[3]} is used for seed 0" in notes([*runs, lost])


def test_hardware_that_some_runs_lack_is_said(tmp_path):
    runs = write_all(tmp_path, TWO, hardware=CPU)
    old = write(tmp_path, "old", seed=3, block="se", test={"accuracy": 0.7}, fields={"trainer.precision": "bf16-mixed"})
    found = notes([*runs, old])
    assert f"hardware not recorded, so times may not be comparable: {old}" in found
    assert "trainer.precision differs: plain: auto; se: auto, bf16-mixed" in found


def test_a_wider_network_alone_is_a_reference_with_a_caution(tmp_path):
    wide = write_all(tmp_path, {"null": TWO["null"]}, "wide-", fields={"model.options": {"width": 18}})
    blocks = write_all(tmp_path, {"se": TWO["se"]}, fields={"model.at": "residual:0"})
    [note] = [note for note in notes([*wide, *blocks]) if "differs from all networks" in note]
    assert "also in model.options: differences are not due to the block alone" in note
    narrow = write_all(tmp_path, {"null": TWO["null"]})
    label = "plain, model.options {}"
    assert not any("differs from all" in note for note in notes([*narrow, *blocks, *wide], reference=label))


def folds(root, block, digest=None, *, skip=(), seeds=(0, 1)):
    known = {} if digest is None else {"data": {"fingerprint": "aa", "folds": {"digest": digest, "count": 5}}}
    return [
        write(root, f"{block}-{digest}-{fold}-{seed}", seed=seed, block=block,
              test={"accuracy": 0.7 + fold**2 / 100 + seed / 1000 + (block is not None) * fold / 300},
              fields={"data.split_file": "folds.json", "data.fold": fold}, **known)
        for fold in range(5) for seed in seeds if (fold, seed) not in skip
    ]  # fmt: skip


def test_folds_of_other_seeds_are_said(tmp_path):
    assert not any("different seeds" in note for note in notes([*folds(tmp_path, None), *folds(tmp_path, "se")]))
    runs = [*folds(tmp_path / "b", None), *folds(tmp_path / "b", "se", skip=[(3, 1)])]
    assert "fold 3 is a mean over different seeds, so its runs are not paired: plain: 0, 1; se: 0" in notes(runs)


@pytest.mark.parametrize(("digest", "tables"), [(None, 1), ("cc", 1), ("dd", 2)])
def test_an_older_run_had_the_folds_of_its_file(tmp_path, digest, tables):
    runs = [*folds(tmp_path, None, "cc"), *folds(tmp_path, "se", digest)]
    assert len(compare(runs).tables) == tables


def test_a_fold_alone_is_called_a_fold(tmp_path):
    runs = [*folds(tmp_path, None), *folds(tmp_path, "se")[:2]]
    assert reasons(runs)["se"] == "only one fold: no spread to judge by"


def test_figures_of_few_are_said_in_the_singular_and_nothing_is_claimed(tmp_path, capsys):
    runs = write_all(tmp_path, {name: values[:2] for name, values in TWO.items()})
    runs += write_all(tmp_path, {"null": [0.70, 0.71], "se": [0.72, 0.735]}, "m", fields={"data.mixup": 0.2})
    assert main(["compare", *map(str, runs)]) == 0
    out = capsys.readouterr().out
    assert "1 degree of freedom" in out
    assert "(interaction, p = 1), which does not show that they do not" in out
    third = write_all(tmp_path / "three", TWO)
    assert main(["compare", *map(str, third)]) == 0
    assert "unresolved: about 1 more seed  " in capsys.readouterr().out


def test_a_bound_that_rounds_to_zero_is_not_called_one(tmp_path, capsys):
    base = [0.7, 0.71, 0.705]
    runs = write_all(
        tmp_path, {"null": base, "se": [one + 0.01 + d for one, d in zip(base, (0.004, -0.004, 0), strict=True)]}
    )
    low = compare(runs).tables[0].rows[1].low
    base = write_all(
        tmp_path / "b",
        {"null": base, "se": [one + 0.01 - low + 2e-5 + d for one, d in zip(base, (0.004, -0.004, 0), strict=True)]},
    )
    assert main(["compare", *map(str, base)]) == 0
    assert "better, perhaps by less than 0.01 points" in capsys.readouterr().out
