"""Groups the runs of a table by network, one arm per block."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from cv_attention.comparison.recipes import Part
from cv_attention.comparison.runs import Run

Block = tuple[int, int]  # (fold, seed); fold -1 without folds


@dataclass
class Arm:
    """The runs of one network under one recipe.

    Attributes:
        network: What the network is.
        recipe: How it was trained.
        finished: The finished run of each block.
        unfinished: Runs without a result: stopped, failed or still running.
        notes: Notes on runs that were left out.
    """

    network: Part
    recipe: Part
    finished: dict[Block, Run] = field(default_factory=dict)
    unfinished: list[Run] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def runs(self) -> list[Run]:
        """All runs, the finished ones first."""
        return [*self.finished.values(), *self.unfinished]

    def add(self, run: Run, *, finished: bool) -> None:
        """Adds a run; a second finished run of the same block is left out."""
        block = block_of(run)
        if not finished:
            self.unfinished.append(run)
        elif block in self.finished:
            first = self.finished[block].path
            self.notes.append(f"{run.path} is left out: {first} is the same network with {name(block)}")
        else:
            self.finished[block] = run

    def settle(self) -> None:
        """Drops unfinished runs of blocks that another run has finished: they were trained again.

        A run that was tested but has no finite figure is noted: it did not merely stop.
        """
        for run in self.unfinished:
            if block_of(run) in self.finished and run.summary.get("test"):
                other = self.finished[block_of(run)].path
                self.notes.append(
                    f"{run.path} ended without a finite figure; {other} is used for {name(block_of(run))}"
                )
        self.unfinished = [run for run in self.unfinished if block_of(run) not in self.finished]


def block_of(run: Run) -> Block:
    """Returns the fold and the seed of a run."""
    fold = int(run.config["data.fold"]) if run.config["data.split_file"] is not None else -1
    return fold, int(run.config["seed"])


def name(block: Block) -> str:
    """Formats the name of a block for use in a sentence."""
    fold, seed = block
    return f"seed {seed}" if fold < 0 else f"fold {fold}, seed {seed}"


@dataclass(frozen=True)
class Values:
    """Holds the figures of a table.

    Attributes:
        table: (arms, units), NaN without a finished run; a unit is a seed, or a fold with the mean over its
            seeds.
        units: Name of each unit.
        overlap: Held-out images per training image if the units are folds, otherwise None.
    """

    table: np.ndarray
    units: tuple[str, ...]
    overlap: float | None


def values(arms: Sequence[Arm], split: str, metric: str) -> Values:
    """Collects the figures of all arms in one table."""
    blocks = sorted({block for arm in arms for block in arm.finished})
    folds = sorted({fold for fold, _ in blocks})
    by_fold = len(folds) > 1
    units = [(fold,) for fold in folds] if by_fold else blocks
    table = np.full((len(arms), len(units)), np.nan)
    for row, arm in enumerate(arms):
        for column, unit in enumerate(units):
            figures = [run.figure(split, metric) for block, run in arm.finished.items() if block[: len(unit)] == unit]
            if figures:
                table[row, column] = np.mean(np.array(figures, dtype=float))
    names = tuple(f"fold {unit[0]}" if by_fold else name((unit[0], unit[-1])) for unit in units)
    return Values(table, names, 1 / (_folds(arms, folds) - 1) if by_fold else None)


def _folds(arms: Sequence[Arm], seen: Sequence[int]) -> int:
    """Returns the number of folds of the training images, or a lower bound if it was not recorded."""
    summaries = [run.summary for arm in arms for run in arm.finished.values()]
    recorded = max(((summary.get("data") or {}).get("folds") or {}).get("count", 0) for summary in summaries)
    return recorded or max(2, max(seen) + 1)
