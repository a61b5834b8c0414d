"""Gives hostile configurations to ``cv-attention fit`` and counts what happens.

    python -m benchmarks.faults.configurations --out configurations.json

Files that never end, encodings, repeated keys, nonsense for every field, and options of the command line. Each must be
refused in one line with exit code 1 or 2 within ten seconds, or accepted where it is right. No training starts: where
it would, the attempt counts as accepted. Most are tried in this process, a sample in one of their own. Exit code 1
means that at least one attempt went wrong.
"""

import argparse
import collections
import contextlib
import dataclasses
import faulthandler
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.faults.hostile_configurations import FILES, OPTIONS, WRONG
from cv_attention.cli import main as cv_attention
from cv_attention.config import Experiment

TINY = ["--data.digits.train=20", "--data.digits.val=10", "--data.digits.test=10", "--model.options={width: 2}"]
TINY += ["--log.probes=0", "--trainer.accelerator=cpu", "--trainer.max_epochs=1"]
_SLOW = 10


class Started(Exception):
    """A training run would start."""


def wrong_values() -> Iterator[tuple[str, str]]:
    """Lists nonsense for every field of the configuration."""

    def fields(tree: Any, prefix: str) -> Iterator[tuple[str, str]]:
        for field in dataclasses.fields(tree):
            if dataclasses.is_dataclass(field.type):
                yield from fields(field.type, f"{prefix}{field.name}.")
            else:
                yield prefix + field.name, field.type.__name__ if isinstance(field.type, type) else str(field.type)

    for name, kind in fields(Experiment, ""):
        alternatives = [one.strip().partition("[")[0] for one in kind.split("|")]
        if name == "model.block" or not any(one in WRONG for one in alternatives):
            continue
        for value in WRONG[next(one for one in alternatives if one in WRONG)]:
            if "str" in alternatives and not value.startswith(("[", "{")):
                continue
            if not ("list" in alternatives and value.startswith("[")):
                yield name, value


def attempt(arguments: list[str], *, right: bool) -> tuple[str, str]:
    """Runs ``cv-attention fit`` in this process; returns what happened, and what was printed on standard error."""
    out, error, start = io.StringIO(), io.StringIO(), time.monotonic()
    with mock.patch("cv_attention.training.fitting", side_effect=Started), contextlib.redirect_stdout(out):
        try:
            with contextlib.redirect_stderr(error):
                code = cv_attention(["fit", *TINY, *arguments])
        except Started:
            code = 0
        except BaseException as found:
            if isinstance(found, KeyboardInterrupt):
                raise
            return "traceback", "".join(traceback.format_exception(found)[-3:])
    return judged(code, error.getvalue(), time.monotonic() - start, right=right), error.getvalue()


def judged(code: int, error: str, seconds: float, *, right: bool) -> str:
    """Names the outcome of a command: right, refused, silent, wrongly refused, several lines, slow or traceback."""
    lines = [line for line in error.splitlines() if line.startswith("cv-attention: error:")]
    if "Traceback (most" in error:
        return "traceback"
    if seconds > _SLOW:
        return "slow"
    if code == 0:
        return "right" if right else "silent"
    if right:
        return "wrongly refused"
    return "refused" if code in (1, 2) and len(lines) == 1 and len(error) < 2000 else "several lines"


def in_a_process(arguments: list[str], *, right: bool) -> tuple[str, str]:
    """The same in a process of its own; for options that are refused."""
    start = time.monotonic()
    command = [sys.executable, "-m", "cv_attention.cli", "fit", *TINY, *arguments]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        return "slow", "no end"
    return judged(ended.returncode, ended.stderr, time.monotonic() - start - 8, right=right), ended.stderr


def attempts(folder: Path) -> Iterator[tuple[str, list[str], bool]]:
    """Writes the files and lists all attempts: name, options, and whether they are right."""
    os.mkfifo(folder / "pipe.yaml")
    (folder / "deep.json").write_text("[" * 100_000)
    for number, (name, (content, right)) in enumerate(FILES.items()):
        path = folder / ("itself.yaml" if name.startswith("itself") else f"{number}.yaml")
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        yield f"file: {name}", ["--config", path.name], right
    for name, (options, right) in OPTIONS.items():
        yield f"option: {name}", options, right
    for number, (name, value) in enumerate(wrong_values()):
        path = folder / f"value-{number}.yaml"
        levels = name.split(".")
        path.write_text("".join(f"{'  ' * depth}{key}:\n" for depth, key in enumerate(levels))[:-1] + f" {value}\n")
        yield f"value: {name}: {value}", ["--config", path.name], False


def _status() -> list[str]:
    return Path("/proc/self/status").read_text().splitlines()


def main() -> int:
    """Parses the command line, tries everything, prints the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="A file of JSON rows, one for each attempt.")
    parser.add_argument("--only", default="", help="A part of the names of the attempts that are made.")
    parser.add_argument("--processes", type=int, default=5, help="How many are repeated in a process of their own.")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    import cv_attention.training  # noqa: F401  # takes seconds, which no attempt shall pay for

    most = sum(int(line.split()[1]) << 10 for line in _status() if line.startswith("VmSize")) + (8 << 30)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    rows = []
    out = arguments.out and arguments.out.absolute()
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        listed = [one for one in attempts(Path(name)) if arguments.only in one[0]]
        passable = [one for one in listed if not one[2] and not any("\0" in option for option in one[1])]
        sample = passable[:: max(1, len(passable) // max(arguments.processes, 1))][: arguments.processes]
        for title, options, right in [
            *listed,
            *((f"process: {title}", options, right) for title, options, right in sample),
        ]:
            run = in_a_process if title.startswith("process") else attempt
            faulthandler.dump_traceback_later(12 * _SLOW, exit=True)
            outcome, said = run(options, right=right)
            faulthandler.cancel_dump_traceback_later()
            rows.append({"attempt": title, "outcome": outcome, "said": said[-300:]})
            if outcome not in ("right", "refused"):
                print(f"{outcome}: {title}: {said[-400:]}", flush=True)
        left = sorted(path.name for path in Path(name).iterdir() if path.is_dir() and path.name != "runs")
    if out:
        out.write_text("".join(json.dumps(row) + "\n" for row in rows))
    print(dict(collections.Counter(row["outcome"] for row in rows)), f"attempts: {len(rows)}, folders left: {left}")
    return int(any(row["outcome"] not in ("right", "refused") for row in rows) or bool(left))


if __name__ == "__main__":
    sys.exit(main())
