"""What a study accepts and words, on both sides of each limit; nothing is trained."""

import json
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from cv_attention.comparison.text import Unit
from cv_attention.config import Experiment
from cv_attention.statistics import detectable
from cv_attention.study import Record, StudyFolder, read_study
from cv_attention.study.design.arms import Arm, controlled, elsewhere, is_cost
from cv_attention.study.design.climbing import Climb
from cv_attention.study.design.file import seeds_of, ways
from cv_attention.study.design.trials import blocks, foreign, forget_failure, seconds, set_aside, state, trial
from cv_attention.study.foreseeing import _hours, foreseen
from cv_attention.study.price import Step, finished_seconds
from cv_attention.study.reporting import svg
from cv_attention.study.reporting.outputs import relative_costs, rows_text
from cv_attention.study.reporting.results import collect
from tests.study.written import BASE, finish, finish_all, planned, write_study


def read(tmp_path, **changes):
    return read_study(write_study(tmp_path, **changes))


@pytest.mark.parametrize("count", [2, 100])
def test_as_many_networks_as_a_study_may_have(count, tmp_path):
    networks = {f"n{number}": {"optimizer.lr": 0.1 + number} for number in range(count)}
    assert list(read(tmp_path, networks=networks).networks) == list(networks)
    with pytest.raises(ValueError, match="networks must be at most 100, got 101"):
        read(tmp_path, networks={f"n{number}": {} for number in range(101)})


@pytest.mark.parametrize("seeds", [2, 1000, [0, 1_999_999_999], list(range(1000)), [7, 3]])
def test_seeds_at_their_bounds_in_the_order_of_the_file(seeds, tmp_path):
    assert seeds_of(read(tmp_path, seeds=seeds)) == tuple(seeds if isinstance(seeds, list) else range(seeds))


@pytest.mark.parametrize("seeds", [1, 1001, list(range(1001)), [0, -1], [0, 2_000_000_000]])
def test_seeds_beyond_them(seeds, tmp_path):
    with pytest.raises(ValueError, match="seeds must "):
        read(tmp_path, seeds=seeds)


def test_combinations_of_hyperparameters_are_counted(tmp_path):
    tune = {"optimizer.lr": [0.1] * 40, "optimizer.weight_decay": [0.1] * 25}
    assert len(read(tmp_path, tune=tune).tune.values) == 2
    with pytest.raises(ValueError, match="tune: 1,040 combinations, more than 1,000"):
        read(tmp_path, tune={**tune, "optimizer.lr": [0.1] * 40, "optimizer.weight_decay": [0.1] * 26})


@pytest.mark.parametrize("name", ["a", "Z9", "é b-c_d.e", "x" * 40, "7"])
def test_names_that_tables_and_files_can_have(name, tmp_path):
    assert name in read(tmp_path, networks={"plain": {}, name: {"model.block": "se"}}).networks
    for wrong in ("_a", ".a", "-a", " a", "a/b", "a+b", "x" * 41, "a,b", ""):
        with pytest.raises(ValueError, match="a name is up to 40 letters"):
            read(tmp_path, networks={"plain": {}, wrong: {"model.block": "se"}})


def test_ways_are_one_or_both(tmp_path):
    assert ways(read(tmp_path)) == ["width"]
    assert ways(read(tmp_path, controls={"by": ["depth", "width"]})) == ["depth", "width"]
    with pytest.raises(ValueError, match=r"controls\.by must name at least one of width, depth"):
        read(tmp_path, controls={"by": []})


@pytest.mark.parametrize(("label", "cost"), [
    ("se", True), ("plain", True), ("se+wider", True), ("se+deeper_flops", True), ("se+longer", True),
    ("se+identity", False), ("se+at_pre", False), ("se+shuffled_gate", False), ("wider+identity", False),
])  # fmt: skip
def test_controls_that_somebody_would_use(label, cost):
    assert is_cost(label) is cost


def test_a_control_takes_the_place_of_every_block():
    assert controlled("se", "channel_scale") == {"class_path": "cv_attention.blocks.controls.ChannelScale"}
    assert controlled({"name": "se", "reduction": 4}, "frozen_random") == {
        "class_path": "cv_attention.blocks.controls.FrozenRandom",
        "init_args": {"block": {"name": "se", "reduction": 4}},
    }
    assert list(controlled({"residual:0": "se", "stage:-1": "eca"}, "identity")) == ["residual:0", "stage:-1"]


def test_a_block_elsewhere_is_not_where_it_is():
    experiment = Experiment()
    experiment.model.block, experiment.model.at = "se", ["pre"]
    arms = elsewhere(Arm("se", {"model.block": "se"}, "se"), experiment, ["residual", "pre", "stage"])
    assert [(arm.name, arm.changes["model.at"], arm.control) for arm in arms] == [
        ("se+at_residual", "residual", "at_residual"), ("se+at_stage", "stage", "at_stage"),
    ]  # fmt: skip
    experiment.model.at = ["pre", "stage"]
    with pytest.raises(ValueError, match="se has blocks at several positions"):
        elsewhere(Arm("se", {}, "se"), experiment, ["residual"])
    assert elsewhere(Arm("se", {}, "se"), experiment, []) == []


@pytest.mark.parametrize(("a", "b", "wanted"), [(3, 5, 100), (1, 1, 2), (7, 2, 64), (4, 9, 36), (2, 3, 1e9)])
def test_widths_climb_to_the_largest_that_fits(a, b, wanted):
    """Of two layers of a network whose cost is the product of their widths; each is widened where it was least."""

    class Widths(Climb):
        def ratio(self, widths):
            return widths["a"] * widths["b"] / wanted

    start = {"a": a, "b": b}
    reached = Widths(None, (), float, start, start).climb(exact=False)
    cost = reached["a"] * reached["b"]
    assert cost <= wanted or reached == start
    limit = [widths for widths in steps(start, 16) if widths["a"] * widths["b"] <= wanted]
    assert reached == (limit[-1] if limit else start)


def steps(full, most):
    """Every state on the way, by the rule in words: the layer whose next width is the least share of its own."""
    widths = dict(full)
    while sum(widths.values()) < sum(most * width for width in full.values()):
        layer = min(widths, key=lambda name: ((widths[name] + 1) / full[name], list(full).index(name)))
        widths = {**widths, layer: widths[layer] + 1}
        yield widths


def test_a_study_logs_little_but_saves_as_often_as_its_base(tmp_path):
    log = {"metrics": ["auroc"], "checkpoint_every_minutes": 3.5, "checkpoint_every_n_steps": 7, "probes": 9}
    log |= {"maps_every": 2, "saliency": ["rise"], "curve_points": 5, "wandb": "online", "keep": "all"}
    plan, folder = planned(tmp_path, configuration={**BASE, "seed": 9, "log": log})
    for one in plan.trials(folder.trials, {}):
        found = one.experiment.log
        assert (found.metrics, found.checkpoint_every_minutes, found.checkpoint_every_n_steps) == (["auroc"], 3.5, 7)
        assert (found.probes, found.maps_every, found.saliency, found.curve_points) == (0, 0, [], 0)
        assert (found.wandb, found.keep) == ("disabled", "weights")
    assert plan.experiments["plain", ""].seed == 0


def test_blocks_of_a_study_have_every_arm_once(tmp_path):
    plan, folder = planned(tmp_path, seeds=[5, 2])
    found = blocks(plan.trials(folder.trials, {}), plan.seeds)
    assert [{(one.arm, one.seed) for one in block} for block in found] == [
        {("plain", 5), ("se", 5)}, {("plain", 2), ("se", 2)},
    ]  # fmt: skip


def test_a_trial_is_named_by_what_decides_it(tmp_path):
    experiment = Experiment()
    one = trial("se", "", 3, experiment, tmp_path)
    assert (len(one.name), str(one), one.experiment.seed) == (16, "se, seed 3", 3)
    assert one.experiment.log.root == str(tmp_path)
    assert str(trial("se", "long", 3, experiment, tmp_path)) == "se, long, seed 3"
    assert trial("other", "long", 3, experiment, tmp_path / "elsewhere").name == one.name
    experiment.log.metrics = ["auroc"]
    others = [trial("se", "", 4, Experiment(), tmp_path), trial("se", "", 3, experiment, tmp_path)]
    assert len({one.name, *(other.name for other in others)}) == 3


def test_states_of_a_directory(tmp_path):
    plan, folder = planned(tmp_path)
    one, other = plan.trials(folder.trials, {})[:2]
    run = folder.run(one.name)
    assert state(run) == ("missing", "")
    run.mkdir(parents=True)
    assert state(run) == ("started", "")
    finish(one, run, 0.7)
    assert state(run, one.experiment) == ("finished", "")
    assert state(run, other.experiment)[0] == "damaged"
    assert "is of another training run (seed: 0 -> 1)" in (foreign(run, other.experiment) or "")
    assert (seconds(run), seconds(tmp_path)) == (3.0, None)
    (run / "failed.json").write_text('{"reason": "two\\n lines"}')
    assert state(run) == ("failed", "two lines")
    (run / "failed.json").write_text("{}")
    assert state(run) == ("failed", "no reason was recorded")
    (run / "failed.json").write_text("{")
    assert state(run) == ("failed", "failed.json cannot be read")
    forget_failure(run)
    forget_failure(run)
    assert state(run)[0] == "finished"
    summary = json.loads((run / "summary.json").read_text())
    (run / "summary.json").write_text(json.dumps({**summary, "finished": False}))
    assert state(run) == ("started", "")


def test_what_is_set_aside_is_numbered(tmp_path):
    for number in (1, 2, 3):
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / str(number)).touch()
        assert set_aside(tmp_path / "run") == tmp_path / f"run.damaged-{number}"
        assert (tmp_path / f"run.damaged-{number}" / str(number)).exists()


def test_a_record_notes_what_changed_and_when_results_were_seen():
    record, day = Record(), datetime.now(UTC).strftime("%Y-%m-%d")
    assert record.adopt({"a": 1, "b": {"c": [1], "d": {}}}) == []
    record.stopped = {"seeds": 2, "rule": "width=1"}
    assert record.adopt({"a": 1, "b": {"c": [1], "d": {}}}) == []
    assert record.stopped
    assert record.adopt({"b": {"c": [2], "d": {}}, "e": "x" * 80}) == [
        "a is gone (it was 1)", "b.c: [1] -> [2]", f'e: "{56 * "x"}... is new',
    ]  # fmt: skip
    assert record.stopped == {}
    assert record.changes[0]["opened"] is False
    assert record.notes() == []
    record.open()
    record.opened, first = "2020-01-01", record.opened
    record.open()
    assert (first, record.opened) == (day, "2020-01-01")
    record.adopt({"b": {"c": [3], "d": {}}})
    assert record.notes() == [
        f'changed on {day}, after the test results had been opened: b.c: [2] -> [3]; e is gone (it was "{56 * "x"}...)'
    ]


def test_paths_of_a_study(tmp_path):
    folder = StudyFolder(tmp_path, "digits")
    found = (folder.trials, folder.out, folder.plan, folder.costs, folder.matched, folder.lock, folder.run("a"),
             folder.log("a"))  # fmt: skip
    expected = ["trials", "digits", "digits/plan.json", "digits/costs.json", "digits/matched.json", ".lock", "trials/a",
                "logs/a.log"]  # fmt: skip
    assert [path.relative_to(tmp_path).as_posix() for path in found] == expected
    for name in ("trials", "logs"):
        with pytest.raises(ValueError, match="a study cannot be called"):
            StudyFolder(tmp_path, name)


def test_the_price_of_a_trial_is_its_images_and_its_start(tmp_path):
    assert Step(seconds=0.01, images=300).trial == pytest.approx(0.01 * 300 + 2)
    plan, folder = planned(tmp_path)
    trials = plan.trials(folder.trials, {})
    for number, one in enumerate(each for each in trials if each.arm == "se"):
        finish(one, folder.run(one.name), 0.7, training_seconds=[10.0, 40.0, 20.0][number])
    assert finished_seconds(folder, trials) == {("se", ""): 22.0}  # the median, and two seconds


@pytest.mark.parametrize(
    ("hours", "words"), [(0.999, "60 minutes"), (1.0, "1.0 hours"), (0.25, "15 minutes"), (26.25, "26.2")]
)
def test_hours_are_worded(hours, words):
    assert _hours(hours).startswith(words)


def test_what_seeds_can_show_is_that_of_the_statistics(tmp_path):
    plan, _ = planned(tmp_path, seeds=6, margin=2.0)
    lines = foreseen(plan, 0.5, " points", "somewhere")
    assert lines[0] == "standard deviation of one run: 0.50 points (somewhere)"
    smallest = detectable(6, 0.5, 2, alpha=0.05)
    assert lines[1] == f"smallest difference that 6 seeds show with probability 80 %: {smallest:.2f} points"
    assert lines[2].startswith("equivalence within ±2 points can be shown by 6 seeds")
    assert "cannot be expected by 6 seeds; it takes" in foreseen(plan, 3.0, "", "somewhere")[2]


def test_costs_are_relative_to_the_reference(tmp_path):
    plan, folder = planned(tmp_path)
    finish_all(plan, folder, {"plain": [0.7, 0.71, 0.72], "se": [0.75, 0.74, 0.76]})
    for one in plan.trials(folder.trials, {}):
        if one.arm == "se":
            finish(one, folder.run(one.name), 0.75, flops=3_000_000)
    results = collect(plan, folder, Record(), plan.trials(folder.trials, {}))
    assert relative_costs(results, {}) == ({"plain": 1.0, "se": 1.5}, "FLOPs of the forward pass, relative to plain")
    measured = {"machine": "a processor", "steps": {"plain": 0.2, "se": 0.3, "gone": 0.1}}
    costs, words = relative_costs(results, measured)
    assert costs == pytest.approx({"plain": 1.0, "se": 1.5, "gone": 0.5})
    assert words == "training step, relative to plain, measured in turns on a processor"
    lines = rows_text(results).splitlines()
    assert lines[0] == (
        "arm,recipe,seed,state,validation_accuracy,test_accuracy,parameters,flops,training_seconds,hardware,run,reason"
    )
    assert lines[1].startswith('plain,,0,finished,0.7,0.7,1000,2000000,3.0,"a processor, 32-true",')


def test_a_table_for_spreadsheets_holds_no_formula(tmp_path):
    for sign in "=+-@":
        outcome = SimpleNamespace(
            trial=SimpleNamespace(arm=f"{sign}1+1", recipe="", seed=0, name="a"), state="failed", reason=f"{sign}cmd",
            summary={"test": {"accuracy": -0.5}},
        )  # fmt: skip
        row = rows_text(SimpleNamespace(outcomes=[outcome], metric="accuracy")).splitlines()[1]
        assert row == f"'{sign}1+1,,0,failed,,-0.5,,,,,a,'{sign}cmd"


@pytest.mark.parametrize(("low", "high", "expected"), [
    (0, 6, [0, 1, 2, 3, 4, 5, 6]), (-0.6, 0.6, [-0.6, -0.4, -0.2, 0, 0.2, 0.4, 0.6]), (0, 13, [0, 5, 10]),
    (1.05, 2.9, [1.5, 2.0, 2.5]), (-1e-3, 1e-3, [-1e-3, -5e-4, 0, 5e-4, 1e-3]),
])  # fmt: skip
def test_ticks_are_round_and_inside(low, high, expected):
    assert svg.ticks(low, high) == pytest.approx(expected)
    assert svg.padded(2.0, 4.0) == pytest.approx((1.88, 4.12))
    assert svg.padded(2.0, 2.0) == pytest.approx((1.94, 2.06))


@pytest.mark.parametrize(("metric", "value", "plain", "signed"), [
    ("accuracy", 0.71234, "71.23", "+71.23"), ("cer", 1.5, "150.00", "+150.00"),
    ("accuracy", -0.00001, "-0.00", "+0.00"),
    ("loss", 0.0005, "0.0005", "+0.0005"), ("loss", 0.00049, "0.00049", "+0.00049"),
    ("loss", 999_999.0, "999999.0000", "+999999.0000"),
    ("loss", 1e6, "1e+06", "+1e+06"), ("loss", -2.0, "-2.0000", "-2.0000"), ("mae", 0.0, "0.0000", "+0.0000"),
])  # fmt: skip
def test_values_have_the_digits_of_their_metric(metric, value, plain, signed):
    unit = Unit(metric)
    assert (unit.plain(value), unit.signed(value)) == (plain, signed)
    assert (unit.name, unit.points) == ((" (%)", " points") if metric in ("accuracy", "cer") else ("", ""))
