"""Studies whose drivers and workers are killed at random end like one that was left alone, to the last digit.

``STUDY_KILLS`` says how often something is killed, ``STUDY_SEED`` seeds what and when.
"""

import csv
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

from cv_attention.study import StudyFolder, make_plan
from tests.study.written import BASE, write_study

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]
ROOT = Path(__file__).parents[2]
KILLS, SEED = int(os.environ.get("STUDY_KILLS", "4")), int(os.environ.get("STUDY_SEED", "0"))
WHAT = ("worker", "worker", "server", "driver", "SIGTERM", "SIGINT")
TIMED = ("training_seconds",)


def toy(folder, **changes):
    digits = {**BASE["data"]["digits"], "train": 160}
    base = {**BASE, "data": {**BASE["data"], "digits": digits}, "trainer": {**BASE["trainer"], "max_epochs": 2}}
    return write_study(folder, configuration=base, seeds=2, **changes)


def start(file, *options):
    """Starts the driver as a user does, in a process group of its own."""
    command = [sys.executable, "-m", "cv_attention.cli", "study", str(file), "--root", str(file.parent / "studies")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen([*command, *options], cwd=ROOT, env=environment, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, start_new_session=True)  # fmt: skip


def finished(file, *options):
    driver = start(file, *options)
    said, _ = driver.communicate(timeout=600)
    return driver.returncode, said


def processes(driver):
    """Returns the server that the driver has started, in a list, and the processes of trials, its children."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    servers = [process for process, parent in parents.items() if parent == driver]
    forked = sorted(process for process, parent in parents.items() if parent in servers)
    return sorted(server for server in servers if server in map(parents.get, forked)), forked


def shown(file):
    """Returns the table, and the lines of all trials without their times."""
    out = file.parent / "studies" / file.stem
    rows = list(csv.DictReader((out / "results.csv").read_text().splitlines()))
    return (out / "table.md").read_bytes(), [[v for k, v in row.items() if k not in TIMED] for row in rows]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    file = toy(tmp_path_factory.mktemp("undisturbed"), controls={"also": ["shuffled_gate"]})
    code, said = finished(file)
    assert code == 0, said
    return file


def test_killed_at_random_it_ends_alike(undisturbed, tmp_path):
    file, chance = toy(tmp_path, controls={"also": ["shuffled_gate"]}), random.Random(SEED)
    folder = StudyFolder(tmp_path / "studies", "toy")
    done = []
    driver = start(file)
    for _ in range(KILLS):
        end = time.monotonic() + 120
        while not processes(driver.pid)[1] and driver.poll() is None and time.monotonic() < end:
            time.sleep(0.05)
        time.sleep(chance.uniform(0, 4))
        what = chance.choice(WHAT)
        if driver.poll() is not None:
            break
        done.append(what)
        if what in ("server", "worker"):
            if victims := processes(driver.pid)[what == "worker"]:
                os.kill(chance.choice(victims), signal.SIGKILL)
            continue
        os.kill(driver.pid, {"driver": signal.SIGKILL}.get(what) or getattr(signal, what))
        said, _ = driver.communicate(timeout=120)
        if what != "driver":
            assert driver.returncode in (0, -signal.SIGINT, 143), said
            assert driver.returncode == 0 or "the same command continues" in said
        driver = start(file)
    said, _ = driver.communicate(timeout=240)
    assert driver.returncode == 0, (done, said)
    if "failed" in said:  # the same worker was hit three times
        said = finished(file, "--retry")[1]
    assert shown(file) == shown(undisturbed), (done, said)
    plan = make_plan(file)
    for trial in plan.trials(folder.trials, {}):
        ours, theirs = (np.load(place / "trials" / trial.name / "predictions.npz")
                        for place in (folder.root, undisturbed.parent / "studies"))  # fmt: skip
        for name in theirs:
            np.testing.assert_array_equal(ours[name], theirs[name])


def test_a_finished_study_trains_nothing_and_a_second_driver_is_refused(undisturbed):
    before = shown(undisturbed)
    driver = start(undisturbed)
    code, said = finished(undisturbed)
    first, _ = driver.communicate(timeout=120)
    assert sorted((code, driver.returncode)) in ([0, 0], [0, 2])
    if 2 in (code, driver.returncode):
        assert "another process is training the studies of" in (said if code else first)
    assert "trained," not in first + said
    assert shown(undisturbed) == before


def test_a_block_that_cannot_be_built_fails_its_trials_alone(tmp_path):
    file = toy(tmp_path, networks={"plain": {}, "se": {"model.block": {"name": "se", "reduction": 0}}})
    code, said = finished(file)
    assert code == 0, said
    table = (tmp_path / "studies/toy/table.md").read_text()
    assert "reduction must be a positive whole number, got reduction=0" in table
    assert "0 + 2 without a result" in table


def test_directories_that_nothing_can_be_resumed_from_are_trained_again(tmp_path):
    file = toy(tmp_path)
    plan, folder = make_plan(file), StudyFolder(tmp_path / "studies", "toy")
    broken, empty, *_ = plan.trials(folder.trials, {})
    checkpoints = folder.run(broken.name) / "checkpoints"
    checkpoints.mkdir(parents=True)
    (checkpoints / "last.ckpt").write_bytes(b"no checkpoint")
    (folder.run(broken.name) / "config.yaml").write_text(yaml.safe_dump(broken.experiment.to_dict()))
    (folder.run(empty.name) / "metrics").mkdir(parents=True)
    code, said = finished(file)
    assert code == 0, said
    assert "its run directory could not be resumed; it is trained again" in said
    assert (folder.trials / f"{broken.name}.damaged-1/checkpoints/last.ckpt.torn").read_bytes() == b"no checkpoint"
    assert len(shown(file)[1]) == 4
    assert "without a result" not in (folder.out / "table.md").read_text()
