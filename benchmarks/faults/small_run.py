"""Provides small data, small runs and the command line inside one process, for the attacks in this folder."""

import contextlib
import io
import json
import os
import platform
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from cv_attention.cli import main

CLASSES = ("ant", "bee", "cat")
SMALL = (
    *("--data.name=folder", "--data.batch_size=8", "--data.workers=0"),
    *("--model.backbone=resnet20", "--model.options={width: 4}", "--model.block=cbam", "--optimizer.lr=0.05"),
    *("--trainer.accelerator=cpu", "--trainer.precision=32-true", "--trainer.extra={enable_progress_bar: false}"),
    *("--log.wandb=disabled", "--log.probes=4", "--log.every_n_steps=1", "--log.curve_points=2"),
)


@dataclass(frozen=True)
class Outcome:
    """What a command came to.

    Attributes:
        code: The exit code; -1 where an exception left the command.
        out: Standard output.
        error: Standard error.
        exception: The exception's name and place, or an empty text.
    """

    code: int
    out: str
    error: str
    exception: str = ""

    @property
    def said(self) -> str:
        """Everything that was printed."""
        return self.out + self.error


def call(*arguments: object) -> Outcome:
    """Runs ``cv-attention`` with `arguments` in this process."""
    out, error = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        except Exception as found:
            place = traceback.extract_tb(found.__traceback__)[-1]
            name = f"{type(found).__name__}: {found} ({Path(place.filename).name}:{place.lineno})"
            return Outcome(-1, out.getvalue(), error.getvalue(), " ".join(name.split())[:300])
    return Outcome(code, out.getvalue(), error.getvalue())


def write_images(
    folder: Path, seed: int = 0, classes: tuple[str, ...] = CLASSES, size: int = 24, *, other_sizes: bool = False
) -> Path:
    """Writes a data set of random pictures: 8, 4 and 4 of each class for training, validation and test.

    They are squares of `size` pixels, or each is as wide as its number asks where there are `other_sizes`.
    """
    generator = np.random.default_rng(seed)
    for split, count in (("train", 8), ("val", 4), ("test", 4)):
        for name in classes:
            (folder / split / name).mkdir(parents=True, exist_ok=True)
            for number in range(count):
                width = size + number if other_sizes else size
                pixels = generator.integers(0, 256, (size, width, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / split / name / f"{number}.png")
    return folder


def train(root: Path, name: str, data: Path, *more: str) -> Path:
    """Trains for two epochs and returns the run directory."""
    fixed = (*SMALL, f"--data.root={data}", f"--log.root={root}", f"--log.name={name}", "--trainer.max_epochs=2")
    done = call("fit", *fixed, *more)
    if done.code:
        raise RuntimeError(f"the training run failed: {done.exception or done.error}")
    return root / name


@contextlib.contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """Changes the current directory for a while."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def machine() -> dict[str, str]:
    """What the figures were measured on."""
    import torch

    from cv_attention.rundir.code_version import code_version

    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return {
        "cv_attention": code_version(),
        "torch": str(torch.__version__),
        "python": platform.python_version(),
        "machine": f"{os.cpu_count()} cores, {model or platform.processor()}",
    }


class Rows:
    """Writes a JSON row for each attempt as soon as it was made, and the sums at the end.

    Args:
        path: The file; None prints the sums alone.
    """

    def __init__(self, path: Path | None) -> None:
        self.file = path.open("w", encoding="utf-8") if path else None
        self.rows: list[dict[str, object]] = []
        self._write({"machine": machine(), "command": sys.argv})

    def add(self, **row: object) -> None:
        """Adds one attempt; ``outcome`` is what it counts as."""
        self.rows.append(row)
        self._write(row)

    def counts(self) -> dict[str, int]:
        """Outcome -> number of attempts."""
        names = [str(row["outcome"]) for row in self.rows]
        return {name: names.count(name) for name in sorted(set(names))}

    def _write(self, row: dict[str, object]) -> None:
        if self.file:
            self.file.write(json.dumps(row) + "\n")
            self.file.flush()
