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

from cv_attention.cli import main as cv_attention
from cv_attention.config import Experiment

TINY = ["--data.digits.train=20", "--data.digits.val=10", "--data.digits.test=10", "--model.options={width: 2}"]
TINY += ["--log.probes=0", "--trainer.accelerator=cpu", "--trainer.max_epochs=1"]
_SLOW = 10
_OPENS = "".join(f"{'bcdefghij'[i]}: &{'bcdefghij'[i]} [{', '.join(['*' + 'abcdefghi'[i]] * 10)}]\n" for i in range(9))
_MERGES = "m0: &m0 {k: v}\n" + "".join(f"m{i + 1}: &m{i + 1} {{p: *m{i}, q: *m{i}}}\n" for i in range(30))
_MERGED = "m0: &m0 {k0: v}\n" + "".join(f"m{i + 1}: &m{i + 1} {{<<: [*m{i}, *m{i}], k{i + 1}: v}}\n" for i in range(40))


class Started(Exception):
    """A training run would start."""


# Name -> the file's content, and whether it is right.
FILES: dict[str, tuple[bytes | str, bool]] = {
    "alias bomb": ("a: &a [x, x, x, x, x, x, x, x, x, x]\n" + _OPENS, False),
    "alias bomb of mappings": (_MERGES, False),
    "merge key bomb": (_MERGED, False),
    "merge of itself": ("model: &m {<<: *m}\n", False),
    "merge of a number": ("model: {<<: 3}\n", False),
    "key twice": ("model:\n  block: se\n  block: cbam\n", False),
    "key twice by quotes": ("seed: 1\n'seed': 2\n", False),
    "section twice": ("model: {block: se}\nseed: 1\nmodel: {block: cbam}\n", False),
    "contains itself": ("model: &m\n  options: {again: *m}\n", False),
    "list contains itself": ("data: {train_transforms: &t [*t]}\n", False),
    "unknown alias": ("seed: *nobody\n", False),
    "UTF-16": ("seed: 1\n".encode("utf-16"), False),
    "UTF-16 without a mark": ("seed: 1\n".encode("utf-16-le"), False),
    "UTF-32": ("seed: 1\n".encode("utf-32"), False),
    "Latin-1": ("seed: 1\n# café\n".encode("latin-1"), False),
    "UTF-8 with a mark": ("\ufeffseed: 1\n".encode(), True),
    "Windows line ends": (b"seed: 1\r\nmodel:\r\n  block: se\r\n", True),
    "comments alone": ("# nothing\n", False),
    "a nul": ("seed: \0\n", False),
    "control characters": ("seed: \x07\x1b[2J\n", False),
    "surrogates": (b"log: {name: '\xed\xa0\x80'}\n", False),
    "binary": (bytes(range(256)) * 20, False),
    "deep lists": ("[" * 5000, False),
    "deep whole lists": ("seed: " + "[" * 900 + "]" * 900, False),
    "deep mappings": ("".join(" " * i + "a:\n" for i in range(200)), False),
    "deep options": ("model: {options: " + "{a: " * 300 + "1" + "}" * 300 + "}\n", False),
    "two documents": ("seed: 1\n---\nseed: 2\n", False),
    "unknown key": ("{num_classes: 3}\n", False),
    "unknown section": ("dataset: {name: folder}\n", False),
    "unknown key in a section": ("data: {nmae: folder}\n", False),
    "list as key": ("? [a, b]\n: 3\n", False),
    "mapping as key": ("? {a: b}\n: 3\n", False),
    "number as key": ("3: 4\n", False),
    "null as key": ("~: 4\n", False),
    "empty key": ("'': 4\n", False),
    "dots in a key": ("data.name: cifar10\ndata..name: x\n", False),
    "list": ("- seed\n", False),
    "text": ("hello\n", False),
    "number": ("42\n", False),
    "empty": ("", False),
    "spaces": ("   \n\n", False),
    "tabs": ("model:\n\tblock: se\n", False),
    "empty section": ("seed: 1\ndata:\n", False),
    "section is a list": ("data: [1, 2]\n", False),
    "section is a text": ("data: cifar10\n", False),
    "tag of Python": ("seed: !!python/object/apply:os.mkdir [made]\n", False),
    "unknown tag": ("seed: !secret 3\n", False),
    "include": ("data: !include /etc/passwd\n", False),
    "binary tag": ("log: {name: !!binary aGVsbG8=}\n", False),
    "set tag": ("data: {subset: {classes: !!set {a, b}}}\n", False),
    "version directive": ("%YAML 9.9\n---\nseed: 1\n", False),
    "JSON cut short": ('{"seed": 1', False),
    "JSON": ('{"seed": 1, "model": {"block": "se"}}', True),
    "TOML": ("[model]\nblock = 'se'\n", False),
    "5000 digits": ("seed: " + "9" * 5000 + "\n", False),
    "hexadecimal": ("seed: 0x" + "f" * 40 + "\n", False),
    "sexagesimal": ("seed: 1:99:99:99:99:99\n", False),
    "a date": ("seed: 2026-13-45\n", False),
    "infinity": ("optimizer: {lr: .inf}\n", False),
    "no number": ("optimizer: {lr: .nan}\n", False),
    "beyond floats": ("optimizer: {lr: 1e999}\n", False),
    "negative": ("data: {batch_size: -3}\n", False),
    "null for a number": ("trainer: {max_epochs: null}\n", False),
    "yes for a number": ("trainer: {max_epochs: yes}\n", False),
    "itself as configuration": ("config: itself.yaml\n", False),
    "long text": ("log: {name: " + "x" * 3_000_000 + "}\n", False),
    "long key": ("x" * 1_000_000 + ": 1\n", False),
    "many keys": ("".join(f"k{i}: 1\n" for i in range(30_000)), False),
    "many values": ("data: {subset: {classes: [" + "a, " * 120_000 + "]}}\n", False),
}

# Name -> options, and whether they are right.
OPTIONS: dict[str, tuple[list[str], bool]] = {
    "no value": (["--data.name"], False),
    "unknown path": (["--a.b.c", "3"], False),
    "below a value": (["--seed.x", "3"], False),
    "below a list": (["--data.subset.classes.x=3"], False),
    "empty option": (["--", "3"], False),
    "only dashes": (["---o", "x"], False),
    "dots": (["--data..name=cifar10"], False),
    "ends in a dot": (["--data.=3"], False),
    "a section": (["--data", "3"], False),
    "a section of null": (["--data", "null"], False),
    "no such file": (["--config", "nowhere.yaml"], False),
    "a folder": (["--config", "."], False),
    "an empty name": (["--config="], False),
    "endless file": (["--config", "/dev/zero"], False),
    "a section from a device": (["--data", "/dev/zero"], False),
    "a part from a pipe": (["--data.subset", "pipe.yaml"], False),
    "device": (["--config", "/dev/null"], False),
    "pipe": (["--config", "pipe.yaml"], False),
    "address": (["--config", "http://127.0.0.1:9/x.yaml"], False),
    "99 devices": (["--trainer.devices", "99"], False),
    "-1 devices": (["--trainer.devices=-1"], False),
    "0 devices": (["--trainer.devices=0"], False),
    "devices as a list": (["--trainer.devices=[0, 1]"], False),
    "devices auto": (["--trainer.devices=auto"], True),
    "devices as a word": (["--trainer.devices=many"], False),
    "devices of 30 digits": (["--trainer.devices=" + "9" * 30], False),
    "nodes": (["--trainer.num_nodes=0"], False),
    "workers of 30 digits": (["--data.workers=" + "9" * 30], False),
    "epochs of 400 digits": (["--trainer.max_epochs=" + "9" * 400], False),
    "aliases": (["--model.options={a: &a [x], b: [" + "*a, " * 200_000 + "]}"], False),
    "brackets": (["--data.train_transforms=" + "[" * 3000], False),
    "braces": (["--model.options=" + "{a: " * 3000], False),
    "name outside": (["--log.name=../../outside"], False),
    "absolute name": (["--log.name=/tmp/outside"], False),
    "name with a nul": (["--log.name=a\0b"], False),
    "root with a nul": (["--log.root=a\0b"], False),
    "root is a file": (["--log.root=/etc/passwd"], False),
    "root on a device": (["--log.root=/dev/null/x"], False),
    "data root with a nul": (["--data.name=folder", "--data.root=a\0b"], False),
    "data root is a file": (["--data.name=folder", "--data.root=/etc/passwd"], False),
    "data root is a device": (["--data.name=webdataset", "--data.root=/dev/zero"], False),
    "split file is a device": (["--data.split_file=/dev/zero"], False),
    "split file is deep": (["--data.split_file=deep.json"], False),
    "split file is a pipe": (["--data.split_file=pipe.yaml"], False),
    "weights are a device": (["--model.weights=/dev/zero"], False),
    "weights are a pipe": (["--model.weights=pipe.yaml"], False),
    "resume nothing": (["--resume", ""], False),
    "resume a device": (["--resume", "/dev/zero"], False),
    "resume a nul": (["--resume", "a\0b"], False),
    "bits": (["--data.bits=7"], False),
    "more bits": (["--data.bits=17"], False),
    "bits right": (["--data.bits=12"], True),
    "on_error": (["--data.on_error=ignore"], False),
    "mean of texts": (["--data.mean=[a, b, c]"], False),
    "mean of two": (["--data.mean=[0.1, 0.2]"], False),
    "mean no number": (["--data.mean=[.nan, 0.1, 0.1]"], False),
    "progressive of texts": (["--data.progressive={a: b}"], False),
    "progressive negative": (["--data.progressive={0: -5}"], False),
    "block of numbers": (["--model.block=[1, 2]"], False),
    "block without a name": (["--model.block={reduction: 2}"], False),
    "block is a function": (["--model.block={class_path: os.system, init_args: {command: ls}}"], False),
    "at nothing": (["--model.block=se", "--model.at=[]"], False),
    "glob bomb": (["--model.block=se", "--model.at=" + "*a" * 200], False),
    "transform of numbers": (["--data.train_transforms=[3]"], False),
    "transform of two": (["--data.train_transforms=[{HorizontalFlip: {}, VerticalFlip: {}}]"], False),
    "transform is a private name": (["--data.train_transforms=[__builtins__]"], False),
    "huge canvas": (["--data.digits.canvas=1000000"], False),
    "huge data": (["--data.digits.train=100000000000"], False),
    "huge width": (["--model.options={width: 100000000}"], False),
    "negative width": (["--model.options={width: -1}"], False),
    "width of text": (["--model.options={width: wide}"], False),
    "key twice in a value": (["--model.options={width: 2, width: 4}"], False),
    "extra of everything": (["--trainer.extra={callbacks: 3, logger: 4}"], False),
    "ANSI in an option": (["--\x1b[31mred", "3"], False),
    "line break in an option": (["--seed\nTraceback", "3"], False),
    "line break in a value": (["--seed", "1\nTraceback"], False),
}

# Type of a field -> values that it must not take.
_WRONG = {
    "bool": ("zebra", "7", "[true]"),
    "int": ("zebra", "1.5", "[1]", ".nan"),
    "float": ("zebra", "[1.0]", ".nan", "{a: 1}"),
    "str": ("{a: 1}", "[1, 2]"),
    "list": ("{a: 1}", "5"),
    "dict": ("[1]", "5"),
}


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
        if name == "model.block" or not any(one in _WRONG for one in alternatives):
            continue
        for value in _WRONG[next(one for one in alternatives if one in _WRONG)]:
            if "str" in alternatives and not value.startswith(("[", "{")):
                continue
            if not ("list" in alternatives and value.startswith("[")):
                yield name, value


def attempt(arguments: list[str], *, right: bool) -> tuple[str, str]:
    """Runs ``cv-attention fit`` in this process; returns what happened, and what was printed on standard error."""
    out, error, start = io.StringIO(), io.StringIO(), time.monotonic()
    with mock.patch("cv_attention.training.fit", side_effect=Started), contextlib.redirect_stdout(out):
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
