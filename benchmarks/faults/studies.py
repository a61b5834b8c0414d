"""Damages every file of a study's folder, one at a time, and hands hostile study files to ``cv-attention study``.

    python -m benchmarks.faults.studies [--out rows.jsonl] [--only NAME ...] [--most 60] [--seed 0]

The study is made of runs that are written as finished, so that nothing is trained. Each damage of `damages` is done to
each file, and the study is reported and its state shown. Study files and bases are those of `hostile_studies`. An
attempt counts as in `damage`: ``refused`` in one line, ``reported`` with the name of the file or of its trial,
``same``, ``smaller``; ``silent``, ``traceback``, ``unclear`` and ``executed`` **must be 0**, and so must ``slow``, more
than 10 seconds.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import yaml

from benchmarks.faults.damages import damages
from benchmarks.faults.hostile_studies import BASES, RECORDS, STUDIES
from benchmarks.faults.small_run import Outcome, Rows, call, working_in
from cv_attention.rundir import sealed
from cv_attention.rundir.files import write_text
from cv_attention.study import StudyFolder, make_plan
from cv_attention.study.design.trials import record_failure
from cv_attention.study.record import STUDY_FORMAT

_TOLD = ["plan.json", "the study has changed", "note: ended after"]  # what is said of a record that was changed
_BAD = ("silent", "traceback", "unclear", "executed", "slow")
_SLOW = 10
_BASE = {"data": {"name": "cluttered_digits"}, "model": {"backbone": "resnet20"}, "trainer": {"accelerator": "cpu"}}
_STUDY = {"base": "base.yaml", "networks": {"plain": {}, "se": {"model.block": "se"}}, "seeds": 3, "margin": 0.5}
_COMMANDS = {"report": ["--report"], "status": ["--status"], "dry run": ["--dry-run"]}


def prepare(place: Path) -> None:
    """Writes a study, its base, and its runs as finished; one has failed."""
    place.mkdir()
    (place / "base.yaml").write_text(yaml.safe_dump(_BASE))
    (place / "toy.yaml").write_text(yaml.safe_dump(_STUDY, sort_keys=False))
    with working_in(place):
        plan = make_plan(Path("toy.yaml"))
        folder = StudyFolder(Path("studies"), plan.name)
        for number, trial in enumerate(plan.trials(folder.trials, {})):
            run = folder.run(trial.name)
            run.mkdir(parents=True)
            if number == 5:
                record_failure(run, trial.experiment, "NonFiniteLoss: the loss is nan")
                continue
            config = yaml.safe_dump(trial.experiment.to_dict())
            write_text(run / "config.yaml", config)
            figures = {"accuracy": 0.7 + 0.01 * (7 * number % 5), "loss": 0.3}
            summary = {
                "parameters": 1000, "flops": 2_000_000, "training_seconds": 3.0, "finished": True,
                "provenance": {"cv_attention": "1", "torch": "2"}, "selected": {"epoch": "last", "reason": "small"},
                "hardware": {"accelerator": "cpu", "device": "a processor", "devices": 1, "threads": 1},
                "validation": {**figures, "epoch": 1}, "test": figures,
                "files": {"config.yaml": hashlib.sha256(config.encode()).hexdigest()},
            }  # fmt: skip
            write_text(run / "summary.json", json.dumps(sealed(summary, 1)))
        (folder.root / "logs").mkdir()
        done = call("study", "toy.yaml", "--report")
        if done.code:
            raise RuntimeError(done.exception or done.error)


def run(name: str) -> tuple[Outcome, str, float]:
    """Runs a command on the study; returns what it came to, a digest of the result, and the seconds."""
    since = time.monotonic()
    with mock.patch("cv_attention.study.session._measure"):
        done = call("study", "toy.yaml", *_COMMANDS[name])
    found = hashlib.sha256(done.out.encode())
    if name == "report" and not done.code:
        for path in sorted(Path("studies/toy").iterdir()):
            if path.name not in ("plan.json", "costs.json"):
                found.update(path.read_bytes())
    return done, found.hexdigest(), time.monotonic() - since


def judge(done: Outcome, found: str, seconds: float, *, digest: str, words: list[str], missing: bool) -> str:
    """Names what an attempt counts as; a result that is `digest` is that of the intact files."""
    if list(Path().rglob("EXECUTED")):
        return "executed"
    if done.exception:
        return "traceback"
    if seconds > _SLOW:
        return "slow"
    shown = done.said + "".join(path.read_text(errors="replace") for path in Path("studies/toy").glob("*.[mc][ds]*"))
    named = any(word in shown for word in words)
    if done.code:
        lines = [line for line in done.error.splitlines() if line.startswith("cv-attention: error")]
        return "refused" if len(lines) == 1 and any(word in done.error for word in words) else "unclear"
    if found == digest:
        return "same"
    return "reported" if named else "smaller" if missing else "silent"


def attempt(intact: Path, folder: Path, spoil: Callable[[], None], name: str, words: list[str], digest: str):
    """Spoils a fresh copy, runs a command on it, and judges."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(intact, folder)
    with working_in(folder):
        spoil()
        missing = len(list(Path().rglob("*"))) < len(list(intact.rglob("*")))
        done, found, seconds = run(name)
        outcome = judge(done, found, seconds, digest=digest, words=words, missing=missing)
    return outcome, done.exception or done.said


def damaged(intact: Path, seed: int, most: int):
    """Lists the damages of all files: the title, the function, and words that a message of it has."""
    for path in sorted(path for path in (intact / "studies").rglob("*") if path.is_file() and path.name != ".lock"):
        file = path.relative_to(intact)
        words = [file.name]
        if "trials" in file.parts:
            config = yaml.safe_load((path.parent / "config.yaml").read_text())
            words += [path.parent.name, f"seed {config['seed']}"]
        if file.parts[:2] == ("studies", "toy") and file.name not in ("plan.json", "costs.json"):
            continue  # written, never read
        chosen = list(damages(path, [], seed))
        if len(chosen) > most:
            chosen = random.Random(f"{seed} {file}").sample(chosen, most)
        for damage, spoil in chosen:
            yield f"{file}: {damage}", (lambda spoil=spoil, file=file: spoil(file)), words


def hostile(intact: Path):
    """Lists hostile study files, bases and records, in the same form."""
    for name, content in STUDIES.items():
        yield f"study file: {name}", (lambda content=content: _write(Path("toy.yaml"), content)), ["toy.yaml"]
    for name, content in BASES.items():
        yield f"base: {name}", (lambda content=content: _write(Path("base.yaml"), content)), ["base.yaml"]
    record = json.loads((intact / "studies/toy/plan.json").read_text())
    for name, values in RECORDS.items():
        content = {key: value for key, value in {**record, **values}.items() if key != "sha256"}
        text = json.dumps(sealed(content, STUDY_FORMAT))
        yield f"record: {name}", (lambda text=text: _write(Path("studies/toy/plan.json"), text)), _TOLD
    for name in ("studies", "studies/trials", "studies/toy", "studies/logs", "studies/.lock"):
        yield f"a file as {name}", (lambda name=name: _replace(Path(name), Path.touch)), [Path(name).name]
        yield f"a pipe as {name}", (lambda name=name: _replace(Path(name), os.mkfifo)), [Path(name).name]


def _write(path: Path, content: str | bytes) -> None:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def _replace(path: Path, make: Callable[[Path], object]) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    make(path)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="File for a JSON row of each attempt.")
    parser.add_argument("--only", nargs="+", help="Attempts whose title contains one of these.")
    parser.add_argument("--most", type=int, default=60, help="Damages of each file, drawn at random.")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rows = Rows(options.out)
    with tempfile.TemporaryDirectory() as temporary:
        intact, folder = Path(temporary).resolve() / "intact", Path(temporary).resolve() / "copy"
        prepare(intact)
        digests = {}
        for name in _COMMANDS:
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(intact, folder)
            with working_in(folder):
                digests[name] = run(name)[1]
        for title, spoil, words in [*damaged(intact, options.seed, options.most), *hostile(intact)]:
            if options.only and not any(part in title for part in options.only):
                continue
            for name, digest in digests.items():
                outcome, said = attempt(intact, folder, spoil, name, words, digest)
                rows.add(attempt=title, command=name, outcome=outcome, said=said[-300:])
                if outcome in _BAD:
                    print(f"{outcome}: {name}: {title}: {said.strip()[-300:]}", flush=True)
    counts = rows.counts()
    print(json.dumps({"attempts": len(rows.rows), **counts}))
    return int(any(counts.get(name) for name in _BAD))


if __name__ == "__main__":
    sys.exit(main())
