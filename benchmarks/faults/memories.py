"""Damages the files of a saved memory of images, one at a time, seals hostile values into them, and loads them.

    python -m benchmarks.faults.memories [--out rows.jsonl] [--flips 120] [--seed 0]

``memory.json`` and ``memory.safetensors`` are those of `heads.ImageMemory.save`. An attempt counts as ``refused`` in
one line that names the folder, or ``same`` where all answers are those of the intact one; ``silent`` (other answers),
``traceback``, ``executed`` and ``slow`` (more than 10 seconds) **must be 0**.
"""

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.faults.damages import damages
from benchmarks.faults.small_run import Rows, working_in
from cv_attention import heads
from cv_attention.rundir import sealed

_SLOW = 10
_WRONG = (None, [], {}, "x", 3, -1, 1e300, True, [[1]], {"a": 1}, float("nan"), 10**30, "/etc/passwd", ["x"] * 9)
_BAD = ("silent", "traceback", "executed", "slow")


def attempts(intact: Path, flips: int, seed: int) -> Iterator[tuple[str, Callable[[Path], None]]]:
    """Lists what is done to a copy of the folder, with a title."""
    for name in ("memory.json", "memory.safetensors"):
        for title, spoil in damages(intact / name, [intact / "memory.json"], seed):
            yield f"{name}: {title}", (lambda folder, spoil=spoil, name=name: spoil(folder / name))
    content = json.loads((intact / "memory.json").read_text())
    for key in content.keys() - {"format", "sha256"}:
        for value in _WRONG:
            text = json.dumps(sealed({**content, key: value}, content["format"]))
            shown = str(value)[:20]
            yield f"{key} is {shown}", (lambda folder, text=text: (folder / "memory.json").write_text(text) and None)
    data, draw = (intact / "memory.safetensors").read_bytes(), random.Random(seed)
    for _ in range(flips):
        place, flipped = draw.randrange(8 * len(data)), bytearray(data)
        flipped[place // 8] ^= 1 << place % 8
        yield (
            f"bit {place}",
            (lambda folder, new=bytes(flipped): (folder / "memory.safetensors").write_bytes(new) and None),
        )


def judge(folder: Path, reader: nn.Module, images: torch.Tensor, before: Any) -> tuple[str, str]:
    """Loads the memory of a folder and reads from it; returns what that counts as, and what was said."""
    start = time.monotonic()
    try:
        found = heads.ImageMemory.load(folder, reader).read(images)
        alike = found.labels == before.labels and torch.equal(found.confidences, before.confidences)
        outcome, said = "same" if alike else "silent", ""
    except (ValueError, OSError) as error:
        said = str(error)
        outcome = "refused" if "\n" not in said and ("copy" in said or said.startswith("the memory")) else "traceback"
    except Exception as error:
        outcome, said = "traceback", repr(error)
    if list(Path().rglob("EXECUTED")):
        return "executed", said
    return ("slow" if time.monotonic() - start > _SLOW else outcome), said


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="File for a JSON row of each attempt.")
    parser.add_argument("--flips", type=int, default=120)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rows = Rows(options.out)
    torch.manual_seed(options.seed)
    reader = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1)).eval()
    shown, images = torch.rand(9, 3, 16, 16), torch.rand(4, 3, 16, 16)
    with tempfile.TemporaryDirectory() as temporary, working_in(Path(temporary)):
        memory = heads.recall(reader, shown, [name for name in ("ant", "bee", "cat") for _ in range(3)])
        intact, folder = Path("intact"), Path("copy")
        memory.save(intact)
        before = memory.read(images)
        for title, spoil in attempts(intact, options.flips, options.seed):
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(intact, folder)
            spoil(folder)
            outcome, said = judge(folder, reader, images, before)
            rows.add(attempt=title, outcome=outcome, said=said[:300])
            if outcome in _BAD:
                print(f"{outcome}: {title}: {said[:300]}", flush=True)
    counts = rows.counts()
    print(json.dumps({"attempts": len(rows.rows), **counts}))
    return int(any(counts.get(name) for name in _BAD))


if __name__ == "__main__":
    sys.exit(main())
