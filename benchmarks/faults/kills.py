"""Kills training runs and exports at random moments, repeats the command, and compares with uninterrupted ones.

    python -m benchmarks.faults.kills --kills 72 --out kills.jsonl

Every kind of work is struck in every phase by SIGKILL, SIGTERM and SIGINT: a phase is waited for, then a random part of
its length. Then the command is repeated (``fit --resume auto``; the same ``saliency`` or ``export``). A training must
end with the weights, optimizer, metrics, predictions and maps of one that ran through, to the bit, and with a report;
an export with the same bytes. SIGTERM and SIGINT must say one line and leave the exit codes 143 and 130.

Each attempt is a line of JSON in ``--out``; the last lines printed are the counts. The exit code is 1 if anything was
lost. An attempt whose process ended before it was struck is repeated. The data are drawn digits; a training takes two
seconds, so that 72 kills take about ten minutes on one core.
"""

import argparse
import atexit
import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.faults.recovered import same_files, same_run

FIT = [
    "fit", "--data.digits.train=60", "--data.digits.val=20", "--data.digits.test=60", "--data.digits.canvas=32",
    "--data.digits.digit=16", "--data.digits.clutter=2", "--data.batch_size=10", "--model.options={width: 4}",
    "--model.block=cbam", "--optimizer.lr=0.05", "--trainer.max_epochs=3", "--trainer.accelerator=cpu",
    "--trainer.precision=32-true", "--trainer.deterministic=true", "--log.every_n_steps=2", "--log.probes=4",
    "--log.maps_every=1", "--log.checkpoint_every_n_steps=2", "--log.wandb=disabled", "--log.tensorboard=true",
    "--data.train_transforms=[HorizontalFlip]", "--log.name=run", "--resume=auto",
]  # fmt: skip
SALIENCY = ["saliency", "--split=test", "--batch_size=3", "--shard_size=7", "--workers=2", "--accelerator=cpu",
            "--attention=true", "--panels=png"]  # fmt: skip
# Phase -> function whose calls are it; the class, the method. Each is struck in one of its calls.
PHASES = {
    "step": ("cv_attention.training.tasks.classifier", "Classifier.training_step"),
    "validation": ("cv_attention.training.tasks.classifier", "Classifier.validation_step"),
    "maps": ("cv_attention.training.recording.probes", "ProbeMaps.on_validation_epoch_end"),
    "checkpoint": ("cv_attention.training.checkpoint.checkpoints", "AtomicCheckpointIO.save_checkpoint"),
    "test": ("cv_attention.training.tasks.classifier", "Classifier.test_step"),
    "results": ("cv_attention.training.checkpoint.weights", "write"),
    "report": ("cv_attention.report.write.build", "_write"),
    "saliency": ("cv_attention.exporting.work", "Work.predict_step"),
    "shard": ("cv_attention.exporting.shards", "write_bytes"),
    "manifest": ("cv_attention.saliency_export.folder", "finish"),
    "trace": ("cv_attention.training.export.deployment", "_trace"),
    "file": ("cv_attention.training.export.deployment", "write_bytes"),
}
OF = {"fit": ("step", "validation", "maps", "checkpoint", "test", "results", "report"),
      "saliency": ("saliency", "shard", "manifest"), "export": ("trace", "file")}  # fmt: skip
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
IMPORTED = [
    "cv_attention.saliency_export", "cv_attention.training.export.deployment",
    "cv_attention.cli.commands.training.fit", "cv_attention.cli.commands.looking.saliency",
    "cv_attention.cli.commands.looking.export", "cv_attention.data.datamodule", "tensorboard",
    "cv_attention.report.write.build", "albumentations", "timm.optim", "sklearn.datasets", "onnxruntime",
    "torch.utils.tensorboard", "torch._dynamo", "onnxscript",
]  # fmt: skip


def watch(phase: str, calls: Any) -> None:
    """Counts the calls of a phase's function in shared memory: when they begin, and when they have ended."""
    module, _, name = PHASES[phase][0], *PHASES[phase][1].rpartition(".")[1:]
    owner: Any = __import__(module, fromlist=["_"])
    if "." in PHASES[phase][1]:
        owner = getattr(owner, PHASES[phase][1].partition(".")[0])
    original = getattr(owner, name)

    def counted(*args: Any, **keywords: Any) -> Any:
        calls[0] += 1
        try:
            return original(*args, **keywords)
        finally:
            calls[1] += 1

    setattr(owner, name, counted)


def work(arguments: list[str], output: str, phase: str | None, calls: Any) -> None:
    """What the process does: a command, its output in a file."""
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    # Python leaves it ignored where a shell started this in the background.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    torch.set_num_threads(1)
    from cv_attention.cli.entry import run_process

    if phase:
        watch(phase, calls)
    code = run_process(arguments)
    atexit._run_exitfuncs()  # as at the end of any Python, but not of multiprocessing's
    sys.exit(code)


class Attempt:
    """A command as a process, which can be struck in a phase."""

    def __init__(self, arguments: list[str], output: Path, phase: str | None = None) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(IMPORTED)
        self.calls = context.Array("i", 2, lock=False)
        self.output = output
        self.process = context.Process(target=work, args=(arguments, str(output), phase, self.calls))
        self.process.start()

    def strike(self, number: int, call: int, share: float, length: float) -> bool:
        """Sends a signal in the given call of the phase, after that share of its length; False if it never came."""
        while self.process.is_alive():
            if self.calls[0] >= call:
                time.sleep(share * length)
                if self.process.is_alive():
                    os.kill(self.process.pid or 0, number)
                    return True
            time.sleep(0.0005)
        return False

    def end(self, seconds: float = 60) -> int | None:
        """Waits for the end; returns the exit code, or None for a process that did not end."""
        self.process.join(seconds)
        code = self.process.exitcode
        if code is None:
            self.process.kill()
            self.process.join()
        return code


def lengths(arguments: list[str], folder: Path, phase: str) -> tuple[int, float]:
    """Runs a command through, and returns how many calls of a phase it makes and how long one takes."""
    attempt, entered, seconds, began = Attempt(arguments, folder / "measured.txt", phase), 0, [], 0.0
    while attempt.process.is_alive():
        begun, ended = attempt.calls
        if begun > entered:
            entered, began = begun, time.perf_counter()
        if ended == entered and began:
            seconds.append(time.perf_counter() - began)
            began = 0.0
        time.sleep(0.0005)
    assert attempt.end() == 0, (folder / "measured.txt").read_text()
    return attempt.calls[0], float(np.median(seconds)) if seconds else 0.0


def promised(number: int, code: int | None, said: str, work: str) -> list[str]:
    """Names what a signal's end lacks: its exit code, its one line; a traceback is never right."""
    wrong = ["a traceback"] if "Traceback" in said else []
    if number == signal.SIGKILL:
        return wrong + ([] if code == -number else [f"exit code {code}"])
    if "\nreport: " in said or " images explained, " in said:  # all was done, Python itself was ending
        return wrong
    expected = -number if number == signal.SIGINT or work == "export" else 128 + number
    lines = sum(("stopped" in line and "stopping at" not in line) or "interrupted" in line
                for line in said.splitlines())  # fmt: skip
    if code != expected:
        wrong.append(f"exit code {code} in place of {expected}")
    return wrong + ([] if lines == 1 or (work == "export" and number == signal.SIGTERM) else [f"{lines} lines"])


def attempt(kind: str, phase: str, number: int, chance: random.Random, place: Path, made: dict[str, Any]) -> dict:
    """Strikes once, repeats the command, and compares; returns the row of the attempt."""
    calls, length = made["lengths"][phase]
    arguments, call, share, code = made["commands"][kind](place), 0, 0.0, None
    for _ in range(10):
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        call, share = chance.randint(1, calls), chance.random()
        struck = Attempt(arguments, place / "struck.txt", phase)
        if struck.strike(number, call, share, length):
            code = struck.end()
            if code != 0:
                break
        else:
            struck.end()
    said = (place / "struck.txt").read_text()
    row = {"work": kind, "phase": phase, "signal": signal.Signals(number).name, "call": call,
           "share": round(share, 3), "exit code": code, "broken": promised(number, code, said, kind)}  # fmt: skip
    again = Attempt(arguments, place / "again.txt")
    row["again"] = again.end(made["patience"])
    repeated = (place / "again.txt").read_text()
    if row["again"] != 0 or "Traceback" in repeated:
        row["lost"] = [f"exit code {row['again']}", repeated[-500:]]
    else:
        row["lost"] = made["compare"][kind](place)[:5]
    if row["broken"]:
        row["said"] = said[-800:]
    return row


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=72)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("kills.jsonl"))
    parser.add_argument("--phases", nargs="+", choices=list(PHASES), default=list(PHASES))
    parser.add_argument(
        "--patience", type=float, default=120, help="Seconds for a repeated command; more on a busy machine."
    )
    options = parser.parse_args()
    chance, root = random.Random(options.seed), Path(tempfile.mkdtemp(prefix="kills-"))
    whole, trained = root / "whole", root / "whole" / "run"
    commands: dict[str, Callable[[Path], list[str]]] = {
        "fit": lambda place: [*FIT, f"--log.root={place}"],
        "saliency": lambda place: [*SALIENCY, f"--checkpoint={trained}", "-o", str(place / "maps")],
        "export": lambda place: ["export", str(trained), "--format=onnx", "-o", str(place / "model.onnx")],
    }
    measured = {}
    for kind, phases in OF.items():
        for phase in phases:
            if phase not in (*options.phases, phases[0]):  # the first of each kind leaves what others are compared with
                continue
            place = root / f"measured-{phase}" if phase != phases[0] else whole
            place.mkdir(exist_ok=True)
            measured[phase] = lengths(commands[kind](place), root, phase)
    latest: Callable[[Path], Path] = lambda place: max(place.glob("run*"), key=lambda path: len(path.name))  # noqa: E731
    compare = {
        "fit": lambda place: same_run(latest(place), trained),
        "saliency": lambda place: same_files(place / "maps", whole / "maps"),
        "export": lambda place: same_files(place, whole, ("model.onnx",)),
    }
    made = {"commands": commands, "lengths": measured, "compare": compare, "patience": options.patience}
    phases = [(kind, phase) for kind, own in OF.items() for phase in own if phase in options.phases]
    plan = [(kind, phase, number) for kind, phase in phases for number in SIGNALS]
    rows = []
    with options.out.open("w", encoding="utf-8") as file:
        for kill in range(options.kills):
            rows.append(attempt(*plan[kill % len(plan)], chance, root / "struck", made))
            file.write(json.dumps(rows[-1]) + "\n")
            file.flush()
            print(kill, json.dumps(rows[-1]), flush=True)
    shutil.rmtree(root)
    counts = Counter((row["work"], row["signal"]) for row in rows)
    for (kind, name), count in sorted(counts.items()):
        print(f"{kind:<9} {name:<8} {count:>3} kills")
    lost, broken = (sum(bool(row[name]) for row in rows) for name in ("lost", "broken"))
    print(f"{len(rows)} kills, {len(rows) - lost} recovered to the bit, {lost} not; {broken} without what is promised")
    return int(lost + broken > 0)


if __name__ == "__main__":
    sys.exit(main())
