"""Exports as real processes: divided over two, and ended half-way; the files are those of one that ran through."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cv_attention.config import SaliencyExport
from cv_attention.saliency_export import export_saliency

REPOSITORY = Path(__file__).parents[2]
# 30 images in five shards, of which two processes take three and two
CONFIG = SaliencyExport(batch_size=3, shard_size=7, workers=2, accelerator="cpu", attention=True, panels="png")
OPTIONS = ["--batch_size=3", "--shard_size=7", "--workers=2", "--accelerator=cpu", "--attention=true", "--panels=png"]


def start(checkpoint: Path, out: Path, *options: str) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "cv_attention.cli", "saliency", "--split=test", f"--checkpoint={checkpoint}"]
    return subprocess.Popen(
        [*command, "-o", str(out), *OPTIONS, *options],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored in the background
    )  # fmt: skip


@pytest.fixture(scope="module")
def whole(tiny_checkpoint, tmp_path_factory) -> dict[str, bytes]:
    """The files of an uninterrupted export by one process."""
    out = tmp_path_factory.mktemp("whole") / "out"
    done = export_saliency(tiny_checkpoint, [], out, CONFIG, split="test")
    assert (done.explained, done.left) == (30, 0)
    return files_of(out)


def files_of(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}


@pytest.mark.long
@pytest.mark.parametrize("strategy", ["ddp", "ddp_fork"])
def test_two_processes_write_the_files_of_one(strategy, whole, tiny_checkpoint, tmp_path):
    process = start(tiny_checkpoint, tmp_path / "out", "--devices=2", f"--strategy={strategy}")
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output
    assert output.count("30 images explained, 0 left out") == 1
    assert files_of(tmp_path / "out") == whole


@pytest.mark.long
def test_fewer_shards_than_processes(tiny_checkpoint, tmp_path):
    options = ["--devices=2", "--strategy=ddp_fork", "--shard_size=40"]
    process = start(tiny_checkpoint, tmp_path / "out", *options)
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output
    assert json.loads((tmp_path / "out/export.json").read_text())["explained"] == 30


TWO, SCRIPTS = ("--devices=2", "--strategy=ddp_fork"), ("--devices=2", "--strategy=ddp")
# signal, whether the whole group gets it as from a terminal, options
ENDS = {
    "killed": pytest.param(signal.SIGKILL, True, (), marks=pytest.mark.long),
    "interrupted": pytest.param(signal.SIGINT, False, (), marks=pytest.mark.long),
    "terminated": pytest.param(signal.SIGTERM, False, (), marks=pytest.mark.long),
    "two terminated": pytest.param(signal.SIGTERM, False, TWO, marks=pytest.mark.long),
    "two interrupted": pytest.param(signal.SIGINT, True, TWO, marks=pytest.mark.long),
    "two scripts terminated": pytest.param(signal.SIGTERM, False, SCRIPTS, marks=pytest.mark.long),
}  # fmt: skip


@pytest.mark.parametrize(("number", "group", "options"), ENDS.values(), ids=ENDS)
def test_ended_half_way_and_resumed_it_ends_like_one_that_ran_through(
    number, group, options, whole, tiny_checkpoint, tmp_path
):
    out = tmp_path / "out"
    process = start(tiny_checkpoint, out, *options)
    end = time.monotonic() + 200
    while not (out / "shards/000000.jsonl").is_file():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end
        time.sleep(0.001)
    (os.killpg if group else os.kill)(process.pid, number)
    printed, _ = process.communicate(timeout=60)
    kept = {name: (out / name).stat().st_mtime_ns for name in files_of(out) if name.startswith("shards/000000")}
    said = json.loads((out / "export.json").read_text())
    assert not said["complete"], "ended too late to show anything"
    if number != signal.SIGKILL:
        # after Ctrl-C it dies of the signal, so that a shell's loop ends
        assert process.returncode == (-number if number == signal.SIGINT else 128 + number), printed
        assert said["explained"] == len((out / "manifest.jsonl").read_text().splitlines()) >= 7
        line = f"stopped: {said['explained']} of 30 images explained; run the same command again to resume\n"
        assert printed.count("stopped") == printed.count(line) == 1
        assert "Traceback" not in printed
    done = export_saliency(tiny_checkpoint, [], out, CONFIG, split="test")
    assert (done.explained, done.left) == (30, 0)
    assert done.new in ((2, 9, 16, 23) if number == signal.SIGKILL else (30 - said["explained"],))
    assert files_of(out) == whole
    assert all((out / name).stat().st_mtime_ns == then for name, then in kept.items())  # what was done stays
