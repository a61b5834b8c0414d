"""Trainings as real processes that end where a test says, without ten seconds of imports for each.

A server process imports everything once and is forked for every run. The forked process is a process like any other:
it can be killed, it has its own limits, and several of them form a distributed training.
"""

import csv
import json
import multiprocessing
import os
import resource
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

REPOSITORY = Path(__file__).parents[2]

IMPORTED = [
    "cv_attention.training", "cv_attention.cli.commands.training.fit", "cv_attention.data.datamodule",
    "cv_attention.backbones.models.build",
    "cv_attention.report.write.build", "cv_attention.saliency.catalogue", "albumentations", "timm.optim",
    "timm.scheduler",
    "sklearn.datasets", "sklearn.model_selection", "torch._dynamo",
]  # fmt: skip


@dataclass(frozen=True)
class End:
    """How a training run ends prematurely.

    Attributes:
        place: ``step``: in that training step; ``validation``: in that validation batch, counted over all epochs;
            ``test``: in that batch of the test; ``report``: while the report is built; ``write``: while that checkpoint
            is written, counted from 0, before it has its name.
        at: Which.
        how: The signal that the process gets, or ``full``: from then on no file can grow beyond a few bytes.
        rank: Which of several processes.
        times: How often it gets the signal.
    """

    place: str
    at: int
    how: int | str = signal.SIGKILL
    rank: int = 0
    times: int = 1

    def arm(self) -> None:
        """Makes this process end so."""
        from cv_attention.rundir import files
        from cv_attention.training.tasks.choosing import TASKS

        count = iter(range(10**9))
        if self.place == "write":
            sync = os.fsync

            def fsync(file: int) -> None:
                if os.readlink(f"/proc/self/fd/{file}").endswith(".partial") and next(count) == self.at:
                    self.strike()
                sync(file)

            files.os.fsync = fsync
            return
        if self.place == "report":
            from cv_attention.report.write import build as writer

            write = writer._write

            def write_and_strike(*arguments):
                write(*arguments)
                self.strike()

            writer._write = write_and_strike
            return
        name = f"{self.place.replace('step', 'training')}_step"
        for kind in TASKS.values():
            original = getattr(kind, name)

            def method(task, batch, number, original=original):
                if (task.global_step if self.place == "step" else next(count)) == self.at:
                    self.strike()
                return original(task, batch, number)

            setattr(kind, name, method)

    def strike(self) -> None:
        if int(os.environ.get("LOCAL_RANK", "0")) != self.rank:
            return
        if self.how == "full":
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
        else:
            for _ in range(self.times):
                os.kill(os.getpid(), self.how)


def _train(arguments: list[str], end: End | None, output: str, environment: dict[str, str]) -> None:
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests themselves run in the background
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # and this one under nohup
    from cv_attention.cli import main

    if end:
        end.arm()
    torch.set_num_threads(1)
    sys.exit(main(arguments))


def train(arguments: Sequence[str], output: Path, end: End | None = None, processes: int = 1) -> int:
    """Runs ``cv-attention`` and returns the exit code of the process that ended first by itself, or of process 0.

    Like a cluster's launcher, it kills the others of several processes where one has died.
    """
    context = multiprocessing.get_context("forkserver")
    os.environ["PYTHONPATH"] = str(REPOSITORY)
    context.set_forkserver_preload(IMPORTED)
    environments: list[dict[str, str]] = [{}]
    if processes > 1:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
        shared |= {"WORLD_SIZE": str(processes), "LOCAL_WORLD_SIZE": str(processes), "TORCHELASTIC_RUN_ID": "test"}
        ranks = [{"RANK": str(r), "LOCAL_RANK": str(r), "GROUP_RANK": "0"} for r in range(processes)]
        environments = [shared | rank for rank in ranks]
    running = [
        context.Process(target=_train, args=(list(arguments), end, str(output), environment))
        for environment in environments
    ]
    for process in running:
        process.start()
    first = running[end.rank if end and processes > 1 else 0]
    first.join(240)
    for process in running:
        process.join(20 if first.exitcode in (0, 1, 130, 143) else 0)
        if process.is_alive():
            process.kill()
            process.join(10)
    codes = {process.exitcode for process in running}
    assert first.exitcode is not None, output.read_text()
    assert first.exitcode == -signal.SIGKILL or codes == {first.exitcode}, (codes, output.read_text())
    return first.exitcode


def logged(run: Path) -> list[dict[str, str]]:
    """All rows of all parts of a run, one after the other, empty cells left out."""
    rows = []
    for path in sorted((run / "metrics").glob("*/metrics.csv"), key=lambda path: int(path.parent.name)):
        with path.open(newline="") as file:
            rows += [{name: cell for name, cell in row.items() if cell} for row in csv.DictReader(file)]
    return rows


def differing(ours: Any, theirs: Any, place: str) -> Iterator[str]:
    """Names the places at which two trees of plain values and tensors differ."""
    if isinstance(ours, dict) and ours.keys() == theirs.keys():
        for key, value in ours.items():
            yield from differing(value, theirs[key], f"{place}.{key}")
    elif isinstance(ours, (list, tuple)) and len(ours) == len(theirs):
        for number, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from differing(one, other, f"{place}.{number}")
    elif not (torch.equal(ours, theirs) if isinstance(ours, torch.Tensor) else ours == theirs):
        yield place


def recorded(run: Path) -> list[Path]:
    """Everything that was logged about the maps and the validations."""
    return [path for folder in ("maps", "confusion") for path in (run / folder).rglob("*") if path.is_file()]


def assert_same(run: Path, expected: Path) -> None:
    """Asserts that two runs ended alike, to the bit: weights, optimizer, random states, metrics and maps."""
    for name in ("last", "best"):
        states = [torch.load(r / f"checkpoints/{name}.ckpt", weights_only=True) for r in (run, expected)]
        for part in ("state_dict", "optimizer_states", "lr_schedulers", "random_states", "epoch", "global_step"):
            differ = list(differing(states[0][part], states[1][part], f"{name}: {part}"))
            assert not differ, differ
    summaries = [json.loads((r / "summary.json").read_text()) for r in (run, expected)]
    assert summaries[0]["test"] == summaries[1]["test"]
    assert logged(run) == logged(expected)
    names = [sorted(str(path.relative_to(r)) for path in recorded(r)) for r in (run, expected)]
    assert names[0] == names[1]
    assert names[0]
    for name in names[0]:
        ours, theirs = run / name, expected / name
        if not name.endswith(".npz"):
            assert ours.read_bytes() == theirs.read_bytes(), name
            continue
        first, second = np.load(ours), np.load(theirs)
        assert set(first) == set(second)
        for key in first:
            np.testing.assert_array_equal(first[key], second[key])
