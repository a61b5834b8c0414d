"""Kills drivers, servers and workers of a study of 60 training runs at random, 200 times; its tables must not show it.

    python -m benchmarks.faults.study_kills [--kills 200] [--engine local:2] [--seed 0] [--out build/study_kills]

Three networks and twenty seeds of cluttered digits, about a second of training each. One study is left alone. Others,
one after another, are killed until the number is reached, and must end with the table, the lines of ``results.csv`` but
for times, and the predictions of the one that was left alone, byte for byte.
"""

import argparse
import contextlib
import csv
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import yaml

ROOT = Path(__file__).parents[2]
WHAT = ("worker", "worker", "worker", "server", "driver", "driver", "SIGTERM", "SIGINT")
DIGITS = {"canvas": 16, "digit": 12, "clutter": 1, "train": 160, "val": 16, "test": 64}
BASE = {
    "data": {"name": "cluttered_digits", "batch_size": 16, "digits": DIGITS},
    "model": {"backbone": "resnet20", "options": {"width": 4}},
    "trainer": {"max_epochs": 2, "accelerator": "cpu", "devices": 1, "precision": "32-true"},
}
STUDY = {
    "base": "base.yaml",
    "networks": {"plain": {}, "se": {"model.block": "se"}},
    "controls": {"also": ["shuffled_gate"]},
    "seeds": 20,
    "margin": 0.5,
}
MOST = 600  # seconds that one command may take


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--engine", default="local:2")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("build/study_kills"))
    options = parser.parse_args()
    chance, counted, studies = random.Random(options.seed), Counter[str](), 0
    alone = _study(options.out / "alone")
    driver = _start(alone, options.engine)
    said, _ = driver.communicate(timeout=3 * MOST)
    if driver.returncode:
        print(said)
        return 1
    while counted.total() < options.kills:
        studies += 1
        file = _study(options.out / f"killed-{studies}")
        said = _disturbed(file, options.engine, chance, counted, options.kills)
        wrong = _differences(alone, file)
        print(
            f"study {studies}, {counted.total()} kills: {'; '.join(wrong) or 'equal to the one left alone'}", flush=True
        )
        if wrong:
            print(said)
            return 1
    print(", ".join(f"{number} {what}" for what, number in sorted(counted.items())))
    return 0


def _study(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "base.yaml").write_text(yaml.safe_dump(BASE))
    (folder / "toy.yaml").write_text(yaml.safe_dump(STUDY, sort_keys=False))
    return folder / "toy.yaml"


def _start(file: Path, engine: str, *options: str) -> subprocess.Popen[str]:
    """Starts the driver as a user does, in a process group of its own."""
    command = [sys.executable, "-m", "cv_attention.cli", "study", str(file), "--root", str(file.parent / "studies")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [*command, "--engine", engine, *options], cwd=ROOT, env=environment, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def _disturbed(file: Path, engine: str, chance: random.Random, counted: Counter[str], most: int) -> str:
    """Runs a study to its end, killing at random; returns what the last driver said."""
    driver = _start(file, engine)
    while counted.total() < most:
        end = time.monotonic() + MOST
        while not _workers(driver.pid) and driver.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        time.sleep(chance.uniform(0, 3))
        if driver.poll() is not None:
            break
        what = chance.choice(WHAT)
        if what in ("server", "worker"):
            workers = _workers(driver.pid)
            victims = workers if what == "worker" else sorted({_parent(each) for each in workers} - {driver.pid, 0})
            if victims:
                _kill(chance.choice(victims))
                counted[what] += 1
            continue
        counted[what] += 1
        os.kill(driver.pid, signal.SIGKILL if what == "driver" else getattr(signal, what))
        driver.communicate(timeout=MOST)
        driver = _start(file, engine)
    said, _ = driver.communicate(timeout=MOST)
    while "without a result" in (file.parent / "studies/toy/table.md").read_text():  # hit three times
        driver = _start(file, engine, "--retry")
        said, _ = driver.communicate(timeout=MOST)
    return said


def _workers(driver: int) -> list[int]:
    """Returns the processes of trials: children of the server that the driver has started, or Ray's workers."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        process = int(path.parent.name)
        try:
            title = path.read_bytes().replace(b"\0", b" ")
        except OSError:
            continue
        ours = b"ray::" in title and b"IDLE" not in title if b"ray::" in title else b"forkserver" in title
        if ours and _parent(process) != driver and driver in _ancestors(process):
            found.append(process)
    return sorted(found)


def _ancestors(process: int) -> list[int]:
    found = []
    while process > 1:
        process = _parent(process)
        found.append(process)
    return found


def _parent(process: int) -> int:
    try:
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return 0


def _kill(process: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
        os.kill(process, signal.SIGKILL)


def _differences(alone: Path, file: Path) -> list[str]:
    ours, theirs = (each.parent / "studies" for each in (file, alone))
    wrong = []
    if (ours / "toy/table.md").read_bytes() != (theirs / "toy/table.md").read_bytes():
        wrong.append("another table")
    rows = [list(csv.DictReader((each / "toy/results.csv").read_text().splitlines())) for each in (ours, theirs)]
    for row in (row for several in rows for row in several):
        row.pop("training_seconds")
    if rows[0] != rows[1]:
        wrong.append("other lines of results.csv")
    for run in sorted((theirs / "trials").glob("*/predictions.npz")):
        with np.load(run) as before, np.load(ours / "trials" / run.parent.name / run.name) as after:
            if any(not np.array_equal(before[name], after[name]) for name in before):
                wrong.append(f"other predictions in {run.parent.name}")
    return wrong


if __name__ == "__main__":
    raise SystemExit(main())
