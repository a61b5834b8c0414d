"""Studies on Ray and as jobs of submitit, whose processes pretend to train; the last two tests train.

A Ray cluster starts on this machine unless ``RAY_ADDRESS`` names one.
"""

import os
import signal
import threading
import time
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest

from cv_attention.extras import MissingPackage
from cv_attention.study import EngineLost, Limits, LocalEngine, RayEngine, SlurmEngine, Stopped, train
from cv_attention.study.design.trials import state
from cv_attention.study.running import on_ray
from cv_attention.study.running.local import _share
from tests.study.test_disturbed import finished, shown, start, toy
from tests.study.written import planned, pretend

ROOT = Path(__file__).parents[2]
ENGINES = [
    pytest.param("ray", marks=pytest.mark.skipif(find_spec("ray") is None, reason="needs the extra ray")),
    pytest.param("slurm", marks=pytest.mark.skipif(find_spec("submitit") is None, reason="needs the extra slurm")),
]


def engine(name, workers=2):
    if name == "ray":
        return RayEngine(workers, target=pretend)
    return SlurmEngine(workers, options={"cluster": "local", "timeout_min": 30}, target=pretend)


@pytest.fixture(autouse=True)
def script(tmp_path, monkeypatch):
    """Folder in which every process notes who has started it, and whose file ``how`` says how processes end."""
    monkeypatch.setattr("cv_attention.study.session._measure", lambda *_: None)
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.chdir(ROOT)
    (tmp_path / "script").mkdir()
    return tmp_path / "script"


def starts(script):
    return {path.name: len(path.read_text().splitlines()) for path in script.iterdir() if path.name != "how"}


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ENGINES)
def test_every_trial_is_trained_killed_ones_again_and_failures_are_kept(name, tmp_path, script):
    (script / "how").write_text("kill:1 fail:2")
    plan, folder = planned(tmp_path)
    lines = []
    results = train(plan, folder, engine(name), Limits(), lines.append, [])
    assert not results.sealed
    assert {o.reason for o in results.failed} == {"ValueError: model.block is wrong"}
    assert sorted(starts(script).values()) == [1, 1, 1, 1, 2, 2]
    assert sum("was killed by SIGKILL; it is resumed" in line for line in lines) == 2
    assert not list(folder.root.glob("slurm/*.job"))


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ENGINES)
def test_a_lost_worker_is_replaced_and_a_signal_stops_all(name, tmp_path, script):
    """First what holds the process of a trial is killed, the actor or the job's own process; then the study stopped."""
    (script / "how").write_text("slow:1000")
    plan, folder = planned(tmp_path, seeds=2)
    lines = []
    threading.Thread(target=disturb, args=(script, lines), daemon=True).start()
    with pytest.raises(Stopped):
        train(plan, folder, engine(name), Limits(), lines.append, [])
    assert any("ended with exit code 255; it is resumed" in line for line in lines)
    assert {state(folder.run(trial.name))[0] for trial in plan.trials(folder.trials, {})} == {"missing"}
    (script / "how").unlink()
    results = train(plan, folder, engine(name), Limits(), lines.append, [])
    assert (results.blocks, results.failed) == (2, [])


def disturb(script, lines):
    until(lambda: len(starts(script)) == 2)
    os.kill(int(next(attempts(script)).read_text().split()[0]), signal.SIGKILL)
    until(lambda: any("exit code 255" in line for line in lines))
    os.kill(os.getpid(), signal.SIGTERM)


def attempts(script):
    return (path for path in sorted(script.iterdir()) if path.name != "how")


def until(condition):
    end = time.monotonic() + 300
    while not condition() and time.monotonic() < end:
        time.sleep(0.1)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ENGINES)
def test_a_killed_driver_of_a_study_that_trains(name, tmp_path):
    """As users start it; the result is that of the local pool."""
    options = ["--engine", "ray:2"] if name == "ray" else ["--engine", "slurm:2", "--slurm", "cluster=local"]
    file = toy(tmp_path)
    driver = start(file, *options)
    until(lambda: list(file.parent.glob("studies/trials/*/config.yaml")) or driver.poll() is not None)
    time.sleep(2)
    driver.kill()
    driver.communicate()
    code, said = finished(file, *options)
    assert code == 0, said
    alone = toy(tmp_path / "alone")
    assert finished(alone)[0] == 0
    assert shown(file) == shown(alone)


@pytest.mark.skipif(find_spec("ray") is None, reason="needs the extra ray")
def test_a_cluster_that_does_not_answer_is_one_line(tmp_path, monkeypatch):
    import ray

    def refused(*_, **__):
        raise ConnectionError("no cluster\nat 10.0.0.1")

    monkeypatch.setattr(ray, "init", refused)
    with pytest.raises(EngineLost, match=r"the Ray cluster cannot be reached: no cluster at 10\.0\.0\.1"):
        RayEngine(2).open(tmp_path)


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setattr("cv_attention.extras.find_spec", lambda name: None)
    with pytest.raises(MissingPackage, match=r"the engine ray needs ray: .*'cv_attention\[ray\]'"):
        RayEngine()
    with pytest.raises(MissingPackage, match=r"the engine slurm needs submitit: .*'cv_attention\[slurm\]'"):
        SlurmEngine()


@pytest.mark.parametrize(
    ("gpus", "place", "devices", "expected"),
    [([], 0, 1, None), ("0123", 2, 1, "2"), ("0123", 5, 1, "1"), ("0123", 1, 2, "2,3"), ("0123", 3, 2, "2,3"),
     ("45", 1, "auto", "5"), ("45", 1, 8, "4,5"), (["GPU-a", "GPU-b"], 1, 1, "GPU-b")],
)  # fmt: skip
def test_gpus_are_divided_among_the_places(gpus, place, devices, expected):
    found = _share(gpus, place, devices)
    assert found == expected or sorted(found) == sorted(expected)


def test_each_place_of_the_pool_has_its_gpu(tmp_path):
    """A place that becomes free is given to the next trial."""
    import multiprocessing

    plan, folder = planned(tmp_path, seeds=2)
    pool = LocalEngine(2, 1, target=note_gpus, context=multiprocessing.get_context("fork"), gpus=["6", "7"])
    seen = []
    for trial in plan.trials(folder.trials, {})[:3]:
        pool.start(trial, tmp_path / f"{trial.name}.log")
        if not pool.free:
            seen += [(tmp_path / f"{ended.trial.name}.log").read_text() for ended in wait_for_one(pool)]
    while pool.running:
        seen += [(tmp_path / f"{ended.trial.name}.log").read_text() for ended in wait_for_one(pool)]
    assert set(seen) == {"6", "7"}
    assert len(seen) == 3


def wait_for_one(pool):
    while not (ended := pool.ended(1.0)):
        pass
    return ended


def note_gpus(plain, threads, log, gpus, at_test):
    Path(log).write_text(gpus)
    os._exit(0)


@pytest.mark.parametrize("gpus", [0.0, 1.0, 4.0])
@pytest.mark.parametrize("share", [None, 0.5, 2.0])
@pytest.mark.parametrize("threads", [1, 3, 8])
def test_a_cluster_gets_as_many_workers_as_fit(gpus, share, threads, monkeypatch):
    """As many as can be placed one after the other; one where none fits, and those that were asked for otherwise."""
    resources = {"CPU": 13.0, **({"GPU": gpus} if gpus else {})}
    client = SimpleNamespace(init=lambda *_, **__: None, cluster_resources=lambda: resources)
    monkeypatch.setattr(on_ray, "require", lambda *_: None)
    monkeypatch.setattr(on_ray, "_client", lambda: client)
    placed, processors, devices = 0, 13.0, gpus
    while processors >= threads and (not gpus or devices >= (share or 1.0)):
        placed, processors, devices = placed + 1, processors - threads, devices - (share or 1.0)
    for asked, expected in ((None, max(placed, 1)), (5, 5)):
        engine = RayEngine(asked, threads=threads, gpus=share)
        engine.open(ROOT)
        assert engine.workers == expected
