"""Compares what two commits compute, to the bit: a short training run, its maps, an export of saliency maps.

    python benchmarks/identical.py BEFORE [AFTER] [--work DIRECTORY]

Each commit is checked out and runs the demo's recipe on fewer images (`fit` with CBAM), `saliency` of the test split by
two methods, `test` and `export`; AFTER is this checkout by default. Compared are the weights, every logged loss and
metric, predictions, recorded maps, confusion counts, and every array of the export. Prints a line for each kind, and
exits with 1 if any differs.
"""

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
FIT = ["--config", "configs/digits.yaml", "--data.digits.train=600", "--data.digits.val=100", "--data.digits.test=100",
       "--trainer.max_epochs=2", "--trainer.accelerator=cpu", "--trainer.precision=32-true", "--log.wandb=disabled",
       "--log.name=run"]  # fmt: skip
TIMED = ("seconds", "images_per_second", "images/s", "epoch_time")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before")
    parser.add_argument("after", nargs="?")
    parser.add_argument("--work", type=Path)
    options = parser.parse_args()
    work = options.work or Path(tempfile.mkdtemp(prefix="identical-"))
    work.mkdir(parents=True, exist_ok=True)
    outputs = [ran(commit, work / name) for name, commit in (("before", options.before), ("after", options.after))]
    kinds = [dict(arrays(output)) for output in outputs]
    failed = False
    for kind in sorted({name.split(" ")[0] for each in kinds for name in each}):
        before, after = ({n: a for n, a in each.items() if n.split(" ")[0] == kind} for each in kinds)
        wrong = [n for n in sorted({*before, *after}) if not same(before.get(n), after.get(n))]
        failed |= bool(wrong)
        values = sum(np.size(array) for array in after.values())
        print(f"{kind}: {len(after)} arrays, {values:,} values, {len(wrong)} differ {wrong[:5] or ''}")
    return int(failed)


def ran(commit: str | None, work: Path) -> Path:
    """Checks out a commit and runs its commands; returns the folder of what they wrote."""
    source, out = work / "source", work / "out"
    if out.is_dir():
        return out
    shutil.rmtree(source, ignore_errors=True)
    if commit:
        source.mkdir(parents=True)
        archive = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=True).stdout
        subprocess.run(["tar", "x", "-C", source], input=archive, check=True)
    root, writing = (source if commit else ROOT), work / "writing"
    shutil.rmtree(writing, ignore_errors=True)
    command(root, "fit", *FIT, f"--log.root={writing}")
    for method in ("grad_cam", "integrated_gradients"):
        out_of = ["-o", f"{writing}/{method}", "--method", method]
        command(root, "saliency", "--checkpoint", f"{writing}/run", "--split", "test", *out_of)
    command(root, "export", f"{writing}/run", "--format", "safetensors", "-o", f"{writing}/exported.safetensors")
    return writing.rename(out)


def command(root: Path, *arguments: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1", "NO_ALBUMENTATIONS_UPDATE": "1"}
    subprocess.run([sys.executable, "-m", "cv_attention.cli", *arguments], cwd=root, env=environment, check=True)


def arrays(out: Path) -> Iterator[tuple[str, Any]]:
    """Yields every array and figure that was written, by its kind, its file and its name."""
    from safetensors.numpy import load_file

    for file in sorted(out.rglob("*")):
        name = str(file.relative_to(out))
        if file.suffix == ".npz":
            with np.load(file) as content:
                for key in content.files:
                    yield f"{name.split('/')[1 if name.startswith('run/') else 0]} {name} {key}", content[key]
        elif file.suffix == ".npy":
            yield f"{name.split('/', maxsplit=1)[0]} {name}", np.load(file)
        elif file.suffix == ".safetensors":
            for key, value in load_file(file).items():
                yield f"{file.name} {key}", value
        elif file.name == "metrics.csv":
            yield from logged(name, file)
        elif file.parent.name == "confusion":
            yield f"confusion {name}", np.asarray(json.loads(file.read_text())["counts"])
        elif file.name == "summary.json":
            for key, value in json.loads(file.read_text())["test"].items():
                yield f"test {key}", np.asarray(value)


def logged(name: str, file: Path) -> Iterator[tuple[str, Any]]:
    """Yields the columns of a CSV file of metrics, without what a clock decides."""
    with file.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    for column in rows[0]:
        if not any(word in column for word in TIMED):
            yield f"metrics {name} {column}", np.asarray([row[column] for row in rows])


def same(before: Any, after: Any) -> bool:
    if before is None or after is None or before.shape != after.shape or before.dtype != after.dtype:
        return False
    return before.tobytes() == after.tobytes()


if __name__ == "__main__":
    raise SystemExit(main())
