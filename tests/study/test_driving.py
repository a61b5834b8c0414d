"""Which trials are trained, in which order, and what happens to those whose processes end badly; nothing is trained."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from cv_attention.rundir.lock import lock
from cv_attention.study import DiskFull, Limits, LocalEngine, Record, Stopped, make_plan, report, train
from cv_attention.study.design.trials import blocks, state
from tests.quick import quick_only
from tests.study.written import engine, planned, pretend, write_study


@pytest.fixture(autouse=True)
def script(tmp_path, monkeypatch):
    """Folder in which every process notes its trial, and whose file ``how`` says how processes end."""
    monkeypatch.setenv("SCRIPT", str(tmp_path / "script"))
    monkeypatch.setattr("cv_attention.study.session._measure", lambda *_: None)  # would import torch and build networks
    (tmp_path / "script").mkdir()
    return tmp_path / "script"


def trained(plan, folder, workers=2, **limits):
    lines = []
    results = train(plan, folder, engine(workers), Limits(**limits), lines.append, ["cv-attention study toy.yaml"])
    return results, lines


def starts(script):
    """How often each trial was started."""
    return {path.name: len(path.read_text().splitlines()) for path in script.iterdir() if path.name != "how"}


def test_every_trial_is_trained_once_in_any_study_of_the_folder(tmp_path, script):
    plan, folder = planned(tmp_path)
    results, _ = trained(plan, folder)
    assert not results.sealed
    assert sorted(starts(script).values()) == [1] * 6
    trained(plan, folder)
    other = write_study(
        tmp_path, name="other.yaml", networks={"plain": {}, "se": {"model.block": "se"}, "eca": {"model.block": "eca"}}
    )
    plan = make_plan(other)
    results, _ = trained(plan, type(folder)(folder.root, plan.name))
    assert sorted(starts(script).values()) == [1] * 9
    assert [row.label for row in results.parts[0].main.tables[0].rows] == ["plain", "se", "eca"]


def test_blocks_are_of_one_seed_and_shuffled_alike_each_time(tmp_path):
    plan, folder = planned(
        tmp_path, networks={"plain": {}} | {b: {"model.block": b} for b in ("se", "eca", "cbam", "simam")}, seeds=20
    )
    trials = plan.trials(folder.trials, {})
    ordered = blocks(trials, plan.seeds)
    assert [{trial.seed for trial in block} for block in ordered] == [{seed} for seed in range(20)]
    assert blocks(trials, plan.seeds) == ordered
    last = [block[-1].arm for block in ordered]
    assert max(last.count(arm.name) for arm in plan.arms) < 12  # no arm always suffers from a stop
    assert len({tuple(trial.arm for trial in block) for block in ordered}) > 10


def test_a_killed_process_is_replaced(tmp_path, script):
    (script / "how").write_text("kill:1")
    plan, folder = planned(tmp_path)
    results, lines = trained(plan, folder)
    assert not results.failed
    assert sorted(starts(script).values()) == [1, 1, 1, 1, 2, 2]
    assert sum("was killed by SIGKILL; it is resumed" in line for line in lines) == 2


@pytest.mark.long
def test_one_that_is_always_killed_fails_and_the_study_goes_on(tmp_path, script):
    (script / "how").write_text("kill-always:1")
    plan, folder = planned(tmp_path)
    results, _ = trained(plan, folder)
    assert not results.sealed
    assert [(o.trial.seed, o.reason.split(" (")[0]) for o in results.failed] == [
        (1, "its process was killed by SIGKILL, 3 times")
    ] * 2
    trained(plan, folder)
    assert sorted(starts(script).values()) == [1, 1, 1, 1, 3, 3]
    (script / "how").unlink()
    results, _ = trained(plan, folder, retry=True)
    assert not results.failed
    assert sorted(starts(script).values()) == [1, 1, 1, 1, 4, 4]


def test_a_failed_trial_is_kept_with_its_reason(tmp_path, script):
    (script / "how").write_text("fail:2")
    plan, folder = planned(tmp_path)
    results, lines = trained(plan, folder)
    assert {o.reason for o in results.failed} == {"ValueError: model.block is wrong"}
    assert "1 + 1" not in "".join(lines)
    assert "2 + 1 without a result" in (folder.out / "table.md").read_text()


def test_a_full_disk_ends_the_study_at_once(tmp_path, script):
    (script / "how").write_text("full:0")
    plan, folder = planned(tmp_path)
    with pytest.raises(DiskFull, match="no space left"):
        trained(plan, folder)
    assert len(starts(script)) <= 2
    (script / "how").unlink()
    assert not trained(plan, folder)[0].failed


def test_a_second_driver_is_refused(tmp_path):
    plan, folder = planned(tmp_path)
    code = "import sys, pathlib; from cv_attention.rundir.lock import lock; held = lock(pathlib.Path(sys.argv[1])); "
    code += "print('held', flush=True); sys.stdin.read()"
    folder.root.mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", code, str(folder.lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(ValueError, match="another process is training the studies of"):
            trained(plan, folder)
        other.kill()
    assert trained(plan, folder)[0].blocks == 3
    assert lock(folder.lock) is not None


def test_a_deleted_or_damaged_trial_is_trained_again(tmp_path, script):
    import shutil

    plan, folder = planned(tmp_path)
    trained(plan, folder)
    table = (folder.out / "table.md").read_text()
    first, second, third, *_ = plan.trials(folder.trials, {})
    shutil.rmtree(folder.run(first.name))
    (folder.run(second.name) / "summary.json").write_text("{broken")
    (folder.run(third.name) / "config.yaml").unlink()
    results, lines = trained(plan, folder)
    assert [starts(script)[trial.name] for trial in (first, second, third)] == [2, 2, 2]
    assert any(f"kept as {second.name}.damaged-1" in line for line in lines)
    assert (folder.trials / f"{second.name}.damaged-1" / "summary.json").read_text() == "{broken"
    assert results.notes == (f"trained again, since the directory was damaged: {second.name}.damaged-1",)
    assert (folder.out / "table.md").read_text().partition("\n## Notes")[0].strip() == table.strip()


@pytest.mark.long
def test_a_budget_begins_no_block_that_would_not_end(tmp_path, script, monkeypatch):
    plan, folder = planned(tmp_path)
    trained(plan, folder, workers=1)
    plan, _ = planned(tmp_path, seeds=6)  # by the finished trials, one takes five seconds
    results, lines = trained(plan, folder, workers=1, budget=9.0)
    assert results.blocks == 3
    assert any("the budget is used up after 3 of 6 blocks" in line for line in lines)
    results, _ = trained(plan, folder, workers=1, budget=19.0)
    assert results.blocks >= 4
    assert results.sealed is (results.blocks < 6)


@pytest.mark.long
def test_a_rule_ends_the_study_after_a_whole_block(tmp_path):
    plan, folder = planned(tmp_path, seeds=12)
    results, _lines = trained(plan, folder, width=6.0)
    assert 2 <= results.planned < 12
    assert results.blocks == results.planned
    assert not results.sealed
    assert "by the rule width=6" in results.notes[0]
    halves = [100 * (row.high - row.low) / 2 for row in results.parts[0].main.tables[0].rows if row.low is not None]
    assert max(halves) <= 6.0
    again, _ = trained(plan, folder)
    assert again.blocks == 12
    assert "continued to 12 seeds after width=6 had ended the study" in again.notes[0]


@pytest.mark.long
def test_tuning_gives_every_arm_the_same_and_uses_other_seeds(tmp_path, script):
    plan, folder = planned(tmp_path, tune={"optimizer.lr": [0.05, 0.1], "seeds": 2}, seeds=2)
    results, _ = trained(plan, folder)
    assert not results.sealed
    tuned = list(starts(script))
    assert len(tuned) == 2 * 2 * 2 + 2 * 2
    seeds = {int((script / run).read_text().split()[-1]) for run in tuned}
    assert seeds == {0, 1, 2_000_000_000, 2_000_000_001}
    chosen = Record.read(folder.plan).chosen
    assert [(entry["arm"], entry["values"]) for entry in chosen] == [
        ("plain", {"optimizer.lr": 0.05}),
        ("se", {"optimizer.lr": 0.05}),
    ]  # equal figures: the first
    assert "- se: optimizer.lr 0.05" in (folder.out / "table.md").read_text()


def test_the_better_candidate_is_chosen_on_validation(tmp_path):
    from cv_attention.study.design.trials import record_failure
    from cv_attention.study.tuning import choose
    from tests.study.written import finish

    plan, folder = planned(tmp_path, tune={"optimizer.lr": [0.05, 0.1, 0.2]})
    assert choose(plan, folder) is None
    for cell, candidates in plan.tuning(folder.trials).items():
        for number, [trial] in enumerate(candidates):
            if number == 2:
                record_failure(folder.run(trial.name), trial.experiment, "NonFiniteLoss: nan")
            else:  # the test says the opposite
                finish(trial, folder.run(trial.name), 0.9 - 0.1 * number, 0.5 + 0.1 * (number == (cell[0] == "se")))
    assert choose(plan, folder) == {("plain", ""): {"optimizer.lr": 0.05}, ("se", ""): {"optimizer.lr": 0.1}}


@pytest.mark.parametrize("number", quick_only([signal.SIGTERM], [signal.SIGINT, signal.SIGTERM]))
def test_a_signal_stops_all_and_the_same_call_continues(number, tmp_path, script, monkeypatch):
    monkeypatch.setenv("SLOW", "0.3")
    plan, folder = planned(tmp_path, seeds=4)
    heard = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    threading.Timer(0.5, os.kill, (os.getpid(), number)).start()
    with pytest.raises(Stopped) as stopped:
        trained(plan, folder)
    assert stopped.value.number == number
    signal.signal(signal.SIGINT, heard)
    assert "Validation only" in (folder.out / "table.md").read_text()
    finished = [t for t in plan.trials(folder.trials, {}) if state(folder.run(t.name))[0] == "finished"]
    assert len(finished) < 8
    monkeypatch.setenv("SLOW", "0")
    results, _ = trained(plan, folder)
    assert results.blocks == 4
    assert all(starts(script)[trial.name] == 1 for trial in finished)


def test_no_process_outlives_an_error(tmp_path, monkeypatch):
    monkeypatch.setenv("SLOW", "1")
    plan, folder = planned(tmp_path)
    pool = engine()
    monkeypatch.setattr(
        pool,
        "ended",
        lambda timeout, ended=pool.ended: (
            1 / 0 if pool.free == 0 and timeout == 1.0 and not broken.append(1) and len(broken) == 1 else ended(timeout)
        ),
    )
    broken = []
    with pytest.raises(ZeroDivisionError):
        train(plan, folder, pool, Limits(), print, [])
    assert not pool.running


def test_the_pool_divides_the_processors():
    usable = len(os.sched_getaffinity(0))
    assert LocalEngine(1).threads == usable
    assert LocalEngine(2 * usable).threads == 1
    assert LocalEngine(2, 3).threads == 3
    since = time.monotonic()
    assert LocalEngine(2, target=pretend).ended(0.0) == []
    assert time.monotonic() - since < 1


def test_a_metric_that_runs_do_not_have_ends_the_study_with_the_first(tmp_path, script):
    plan, folder = planned(tmp_path, metric="acuracy", seeds=8)
    with pytest.raises(ValueError, match=r"toy.yaml: metric 'acuracy' is unknown; did you mean 'accuracy'"):
        trained(plan, folder)
    assert len(starts(script)) < 8


def test_an_option_that_a_block_lacks_is_named_before_anything_is_trained(tmp_path, script):
    wrong = {"name": "se", "redction": 4}
    plan, folder = planned(tmp_path, networks={"plain": {}, "se": {"model.block": {"residual:0": wrong}}})
    with pytest.raises(ValueError, match=r"toy.yaml: networks.se: block 'se' has no option 'redction'; did you mean"):
        trained(plan, folder)
    assert not starts(script)
    assert not folder.root.exists()


def test_nothing_is_reported_while_another_process_trains(tmp_path):
    plan, folder = planned(tmp_path)
    folder.root.mkdir()
    context = multiprocessing.get_context("fork")
    ready, done = context.Event(), context.Event()
    other = context.Process(target=hold, args=(folder.lock, ready, done))
    other.start()
    ready.wait(20)
    with pytest.raises(ValueError, match="another process is training"):
        report(plan, folder, [], print)
    assert report(plan, folder, [], print, write=False).sealed
    done.set()
    other.join()
    assert report(plan, folder, [], print).sealed


def no_answer():
    raise EOFError("unexpected EOF")


def hold(path, ready, done):
    held = lock(path)
    ready.set()
    done.wait(20)
    held()


def test_a_process_that_is_killed_while_it_starts_is_replaced(tmp_path, script):
    """The process that others are forked from then answers nothing."""
    plan, folder = planned(tmp_path)
    pool, refused = engine(), []
    make = pool._context.Process

    class Context:
        @staticmethod
        def Process(**options):
            process = make(**options)
            if len(refused) < 2:
                refused.append(process)
                process.start = no_answer
            return process

    pool._context = Context
    lines = []
    results = train(plan, folder, pool, Limits(), lines.append, [])
    assert sum("ended with exit code 255; it is resumed" in line for line in lines) == 2
    assert (results.blocks, results.failed) == (3, [])
