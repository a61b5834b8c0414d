"""What ``--dry-run`` says, against counting by hand and the planning of `statistics`."""

import pytest

from cv_attention.cli import main
from cv_attention.statistics import detectable, judge, seeds_needed
from cv_attention.study import dry_run
from cv_attention.study.price import measured_steps
from tests.study.written import finish_all, planned

TWO = {"plain": [0.70, 0.72], "se": [0.75, 0.76]}


def lines(plan, folder, workers=2, threads=1):
    return "\n".join(dry_run(plan, folder, workers, threads))


def test_finished_runs_price_the_others_and_say_how_they_spread(tmp_path):
    plan, folder = planned(tmp_path, seeds=722, margin=0.3)
    finish_all(plan, folder, TWO)
    said = lines(plan, folder)
    assert "2 arms × 722 seeds = 1444 training runs; 4 are finished, 0 have failed" in said
    # 3 s of training and 2 s around it, for 1,440 runs that are missing
    assert "price: 2.0 hours of a core, 1.0 hours of time, 2 at once (from finished training runs)" in said
    deviation = 100 * judge([TWO["plain"], TWO["se"]]).deviation
    assert (
        f"standard deviation of one run: {deviation:.2f} points (from finished training runs, validation split)" in said
    )
    assert f"probability 80 %: {detectable(722, deviation, 2):.2f} points" in said


@pytest.mark.parametrize(("seeds", "reachable"), [(4, False), (40, True)])
def test_equivalence_is_within_reach_or_not(seeds, reachable, tmp_path):
    plan, folder = planned(tmp_path, seeds=seeds, margin=0.3, deviation=0.3)
    finish_all(plan, folder, TWO)
    said, needed = lines(plan, folder), seeds_needed(0, 0.3, 2, margin=0.3)
    assert "0.30 points (deviation in the study file)" in said
    if reachable:
        assert "equivalence within ±0.3 points can be shown by 40 seeds" in said
    else:
        assert f"equivalence within ±0.3 points cannot be expected by 4 seeds; it takes {needed} seeds" in said


@pytest.mark.long
def test_tuning_and_recipes_are_counted(tmp_path):
    tune = {"optimizer.lr": [0.1, 0.2], "optimizer.weight_decay": [0.0, 5e-4], "seeds": 3}
    recipes = {"weak": {}, "strong": {"optimizer.ema": 0.9}}
    plan, folder = planned(tmp_path, tune=tune, recipes=recipes, seeds=5)
    for trials in plan.tuning(folder.trials).values():
        finish_all_of([trial for each in trials for trial in each], folder)
    finish_all(plan, folder, TWO, {cell: {"optimizer.lr": 0.1, "optimizer.weight_decay": 0.0} for cell in plan.cells()})
    said = lines(plan, folder)
    assert "tuning: 2 arms × 2 recipes × 4 candidates × 3 seeds = 48 training runs" in said
    assert "2 arms × 2 recipes × 5 seeds = 20 training runs; 8 are finished" in said
    assert "price: 1 minutes of a core" in said


def finish_all_of(trials, folder):
    from tests.study.written import finish

    for trial in trials:
        finish(trial, folder.run(trial.name), 0.5)


@pytest.mark.long
def test_steps_are_measured_where_nothing_has_finished(tmp_path, capsys):
    networks = {"plain": {}, "wide": {"model.options.width": 128}}
    plan, folder = planned(tmp_path, networks=networks, reference="plain")
    steps = measured_steps(plan.experiments, 1)
    assert steps["wide", ""].seconds > 2 * steps["plain", ""].seconds  # 1,024 times the operations
    assert steps["plain", ""].images == 32 + (16 + 16) / 3  # one epoch; evaluated images count a third
    assert main(["study", str(plan.path), "--root", str(folder.root), "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "from measured forward and backward passes" in said
    assert "give deviation in the file" in said
    assert not folder.root.exists()
