"""Measures what the verification of a file of weights costs, relative to the load that it is a part of.

    python -m benchmarks.faults.verification [--out rows.jsonl] [--repeats 9] [--sizes 5 50 350]

For networks of about 5, 50 and 350 MB, medians of runs in turns, from the page cache, with one thread:

* ``read``: the file's content, verified (`checkpoints.read`), and the same without the SHA-256;
* ``load``: the network in place (`training.load`: read, build, copy), and the same without the SHA-256. The hash is
  computed by a thread while the network is built and filled: by the clock it costs what is left of it then, where a
  core is free, and on all cores together what it costs where none is;
* ``waited``: how long a load waits for the hash after everything else, which is what a free core leaves of its cost.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from unittest import mock

import torch

from benchmarks.faults.small_run import Rows
from cv_attention import training
from cv_attention.config import Data, Experiment, Model
from cv_attention.training import loading
from cv_attention.training.checkpoint import checkpoints, digest, sealing, weights

# Width of our ResNet-20 by megabytes of float32 weights: its first stage has this many channels.
_MODELS = {5: ("resnet20", {"width": 35}), 50: ("resnet20", {"width": 112}), 350: ("resnet20", {"width": 296})}


def write(folder: Path, size: int) -> dict[str, Path]:
    """Writes an untrained network of about `size` megabytes as a checkpoint and as safetensors."""
    backbone, options = _MODELS[size]
    experiment = Experiment(data=Data(), model=Model(backbone=backbone, options=options))
    facts = training.DataFacts(tuple("0123456789"), (0.1,) * 3, (0.3,) * 3, (32, 32))
    classifier = training.Classifier(experiment, facts)
    content = {"experiment": experiment.to_dict(), "facts": asdict(facts), "state_dict": classifier.state_dict()}
    paths = {kind: folder / f"{size}.{kind}" for kind in ("ckpt", "safetensors")}
    torch.save(sealing.sealed(content), paths["ckpt"])
    weights.write(paths["safetensors"], classifier)
    return paths


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds by the clock, and seconds of all cores."""
    start, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - start, time.process_time() - cpu


def waited(path: Path) -> tuple[float, float]:
    """Seconds by the clock, and of this thread, that a load waits for the verification at its end."""
    begin, found = loading.begin, []

    def begun(file: Path) -> tuple[object, Callable[[], None]]:
        content, end = begin(file)
        return content, lambda: found.append(timed(end))

    with mock.patch.object(loading, "begin", begun):
        loading.load(path)
    return found[-1]


def unverified(work: Callable[[], object]) -> tuple[float, float]:
    """The time of `work` where nothing is verified."""
    nothing = mock.Mock(return_value=lambda: None)
    with mock.patch.object(checkpoints, "verifying", nothing), mock.patch.object(weights, "verifying", nothing):
        return timed(work)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="File for a JSON row of each size and kind.")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(_MODELS), choices=list(_MODELS))
    options = parser.parse_args()
    rows = Rows(options.out)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        for size in options.sizes:
            for kind, path in write(Path(folder), size).items():
                ways = {"read": lambda path=path: checkpoints.read(path), "load": lambda path=path: training.load(path)}
                found: dict[str, list[tuple[float, float]]] = {}
                for _ in range(options.repeats):
                    for name, work in ways.items():
                        found.setdefault(name, []).append(timed(work))
                        found.setdefault(f"{name}, unverified", []).append(unverified(work))
                    found.setdefault("waited", []).append(waited(path))
                    content = checkpoints.read(path)
                    found.setdefault("SHA-256 alone", []).append(timed(lambda c=content: digest.sha256(c)))
                row = {"megabytes": round(path.stat().st_size / 1e6), "kind": kind}
                for column, name in enumerate(("clock", "all cores")):
                    # pairs in turns: what happens to the machine happens to both
                    pairs = zip(found["load"], found["load, unverified"], strict=True)
                    row[f"share, {name}"] = round(statistics.median(a[column] / b[column] - 1 for a, b in pairs), 4)
                    row[f"waited, {name}"] = round(statistics.median(w[column] for w in found["waited"]), 4)
                    row[name] = {k: round(statistics.median(t[column] for t in times), 4) for k, times in found.items()}
                rows.add(outcome="measured", **row)
                print(json.dumps(row), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
