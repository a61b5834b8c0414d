"""Fuzzes the readers of files from strangers.

    python -m benchmarks.faults.fuzz decoders --minutes 10 --out decoders.json

The targets are decoders, shards, configurations, checkpoints, tables and studies. Whole files are damaged at random,
with their checksums repaired, and read in a process of its own. Counted are: files read whole, refused with an error
that is documented, any other exception, crashes of the process, more than 10 seconds for a file, and more than 2 GB of
memory. The file that did it is kept in `--keep`. With `--engine atheris`, which must be installed, libFuzzer keeps the
files that reach new branches of our code, of Pillow, tarfile or PyYAML, and damages those further. The same `--seed`
tries the same files in the same order. Exit code 1 means that something was found.
"""

import argparse
import collections
import contextlib
import faulthandler
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

import numpy as np

_HANG, _MEMORY = 10, 2 << 30
_TARGETS = ("decoders", "shards", "configurations", "checkpoints", "tables", "studies")
_COUNTS = ("tried", "read", "refused", "exceptions", "hangs", "memory", "crashes")


class Trial:
    """Reads one damaged file after the other, and counts what happens.

    Args:
        name: The target.
        folder: Where its files and its counts are written.
    """

    def __init__(self, name: str, folder: Path) -> None:
        from benchmarks.faults.fuzz_targets import TARGETS

        self.target, self.folder = TARGETS[name](), folder
        self.counts: collections.Counter[str] = collections.Counter()
        self.found: dict[str, str] = {}
        self.slowest = self.largest = 0.0
        self._stalled = open(folder / "stalled.txt", "w")  # noqa: SIM115
        self._written = 0.0

    def __call__(self, data: bytes) -> None:
        """Reads `data`; raises nothing."""
        (self.folder / "current.bin").write_bytes(data)
        Path("/proc/self/clear_refs").write_text("5")  # the peak of memory starts at what is used now
        before, start = _memory("VmRSS"), time.monotonic()
        faulthandler.dump_traceback_later(_HANG, exit=True, file=self._stalled)
        try:
            self.target.read(data, self.folder)
            self.counts["read"] += 1
        except self.target.errors as error:
            self.counts["refused"] += 1
            if "\n" in str(error):
                self._keep("several lines: " + str(error)[:100], data)
        except Exception:
            self._keep(traceback.format_exc(), data)
        finally:
            faulthandler.cancel_dump_traceback_later()
        self.counts["tried"] += 1
        self.slowest = max(self.slowest, time.monotonic() - start)
        used = _memory("VmHWM") - before
        self.largest = max(self.largest, used)
        if used > _MEMORY:
            self.counts["memory"] += 1
            self._save(f"memory-{self.counts['tried']}.bin", data)
        if time.monotonic() - self._written > 1:
            self.write()

    def write(self) -> None:
        """Writes the counts for the process that watches this one."""
        self._written = time.monotonic()
        partial = self.folder / "counts.partial"
        partial.write_text(json.dumps({"counts": self.counts, "found": self.found, **self._extremes()}))
        partial.replace(self.folder / "counts.json")

    def _extremes(self) -> dict[str, float]:
        return {"slowest": self.slowest, "largest": self.largest}

    def _keep(self, text: str, data: bytes) -> None:
        self.counts["exceptions"] += 1
        where = "\n".join(text.strip().splitlines()[-6:])
        if len(self.found) < 50 and where not in self.found.values():
            name = f"exception-{len(self.found)}.bin"
            self.found[name] = where
            self._save(name, data)

    def _save(self, name: str, data: bytes) -> None:
        (self.folder / name).write_bytes(data)


def work(name: str, folder: Path, seconds: float, seed: int, engine: str) -> None:
    """Fuzzes in this process until the time is over."""
    warnings.simplefilter("ignore")
    most = _memory("VmSize") + (24 << 30)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    if engine == "atheris":
        _instrument(name)
    trial = Trial(name, folder)
    corpus, words = trial.target.corpus, trial.target.words
    if engine == "atheris":
        _atheris(trial, folder, seconds, seed)
        return
    from benchmarks.faults.mutations import mutate

    for data in corpus:
        trial(data)
    rng, end, kept = np.random.default_rng(seed), time.monotonic() + seconds, list(corpus)
    while time.monotonic() < end:
        data = mutate(kept[int(rng.integers(0, len(kept)))], corpus, rng, words)
        before = trial.counts["read"]
        trial(data)
        if trial.counts["read"] > before and len(kept) < 500:  # what is still read is damaged further
            kept.append(data)
    trial.write()


def _instrument(name: str) -> None:
    """Imports what reads the files with counters of its branches."""
    import atheris  # pyright: ignore[reportMissingImports]

    instrument: Any = vars(atheris)["instrument_imports"]
    sys.modules.pop("tarfile", None)
    with instrument(include=["cv_attention", "PIL", "tarfile", "yaml", "torch.serialization"]):
        from benchmarks.faults.fuzz_targets import TARGETS

        TARGETS[name]()


def _atheris(trial: Trial, folder: Path, seconds: float, seed: int) -> None:
    import atheris  # pyright: ignore[reportMissingImports]

    from benchmarks.faults.mutations import mutate

    corpus, words = trial.target.corpus, trial.target.words
    seeds = folder / "corpus"
    seeds.mkdir(exist_ok=True)
    for number, data in enumerate(corpus):
        (seeds / f"{number}.bin").write_bytes(data)

    def mutator(data: bytes, most: int, number: int) -> bytes:
        if number % 2:
            return atheris.Mutate(data, most)
        return mutate(bytes(data), corpus, np.random.default_rng(abs(number)), words)[:most]

    options = [
        f"-max_total_time={int(seconds)}",
        f"-seed={seed + 1}",
        "-rss_limit_mb=0",
        "-timeout=0",
        f"-artifact_prefix={folder}/",
        "-max_len=4194304",
    ]
    atheris.Setup([sys.argv[0], *options, "-verbosity=0", str(seeds)], trial, custom_mutator=mutator)
    signal.signal(signal.SIGALRM, signal.SIG_IGN)  # libFuzzer's own clock, which would end the process
    with contextlib.suppress(SystemExit):
        atheris.Fuzz()
    trial.write()


def watch(arguments: argparse.Namespace) -> dict[str, Any]:
    """Runs `work` in processes, one after the other, until the time is over; adds up what they count."""
    total: collections.Counter[str] = collections.Counter(dict.fromkeys(_COUNTS, 0))
    found: list[str] = []
    slowest = largest = 0.0
    end, part = time.monotonic() + 60 * arguments.minutes, 0
    while (left := end - time.monotonic()) > 1:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            code = _part(arguments, folder, left, part)
            written = folder / "counts.json"
            counted: dict[str, Any] = {"counts": {}, "found": {}, "slowest": 0, "largest": 0}
            counted |= json.loads(written.read_text()) if written.is_file() else {}
            total.update(counted["counts"])
            found += counted["found"].values()
            slowest, largest = max(slowest, counted["slowest"]), max(largest, counted["largest"])
            if code:
                stalled = (folder / "stalled.txt").read_text() if (folder / "stalled.txt").is_file() else ""
                total["hangs" if stalled else "crashes"] += 1
                said = (folder / "said.txt").read_text(errors="replace").strip().splitlines()[-8:]
                found.append(stalled or "\n".join([f"the process ended with {code}", *said]))
            _collect(folder, Path(arguments.keep) / arguments.target, part, code)
        part += 1
    row = {"target": arguments.target, "engine": arguments.engine, "minutes": arguments.minutes, "seed": arguments.seed}
    return {**row, **total, "slowest_s": round(slowest, 2), "largest_mb": round(largest / 2**20), "found": found}


def _part(arguments: argparse.Namespace, folder: Path, seconds: float, part: int) -> int:
    command = [sys.executable, "-m", "benchmarks.faults.fuzz", arguments.target, "--work", str(folder)]
    command += ["--minutes", str(seconds / 60), "--seed", str(arguments.seed + part), "--engine", arguments.engine]
    environment = {**os.environ, "OPENCV_LOG_LEVEL": "SILENT"}
    with open(folder / "said.txt", "wb") as said:
        output = None if arguments.show else said
        return subprocess.run(command, env=environment, stdout=output, stderr=output, check=False).returncode


def _collect(folder: Path, keep: Path, part: int, code: int) -> None:
    names = [*folder.glob("exception-*.bin"), *folder.glob("memory-*.bin"), *([folder / "current.bin"] if code else [])]
    for path in filter(Path.is_file, names):
        keep.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, keep / f"{part}-{path.name}")


def _memory(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(key))


def main() -> int:
    """Parses the command line, fuzzes, and prints what was counted as one JSON row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", choices=_TARGETS)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--engine", choices=("mutations", "atheris"), default="mutations")
    parser.add_argument("--out", type=Path, help="A file to which the row is appended.")
    parser.add_argument("--keep", default="fuzz-findings", help="Folder for files that did harm.")
    parser.add_argument("--show", action="store_true", help="Show what the fuzzing process prints.")
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work(arguments.target, arguments.work, 60 * arguments.minutes, arguments.seed, arguments.engine)
        return 0
    row = watch(arguments)
    print(json.dumps(row, indent=2))
    if arguments.out:
        with arguments.out.open("a") as file:
            file.write(json.dumps(row) + "\n")
    return int(any(row[name] for name in ("exceptions", "hangs", "memory", "crashes")))


if __name__ == "__main__":
    sys.exit(main())
