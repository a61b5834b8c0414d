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
        unfinished: Runs without a result: stopped, failed or still going.
        notes: What was left out.
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
        """Takes a run; the second finished one of a block is left out."""
        block = block_of(run)
        if not finished:
            self.unfinished.append(run)
        elif block in self.finished:
            first = self.finished[block].path
            self.notes.append(f"{run.path} is left out: {first} is the same network with {name(block)}")
        else:
            self.finished[block] = run

    def settle(self) -> None:
        """Forgets unfinished runs of blocks that another run has finished: somebody has trained them again.

        One that came to its test, without a finite figure, is named: it did not just stop.
        """
        for run in self.unfinished:
            if block_of(run) in self.finished and run.summary.get("test"):
                other = self.finished[block_of(run)].path
                self.notes.append(f"{run.path} ended without a finite figure; {other} of {name(block_of(run))} counts")
        self.unfinished = [run for run in self.unfinished if block_of(run) not in self.finished]


def block_of(run: Run) -> Block:
    """Returns the fold and the seed of a run."""
    fold = int(run.config["data.fold"]) if run.config["data.split_file"] is not None else -1
    return fold, int(run.config["seed"])


def name(block: Block) -> str:
    """Names a block in a sentence."""
    fold, seed = block
    return f"seed {seed}" if fold < 0 else f"fold {fold}, seed {seed}"


@dataclass(frozen=True)
class Values:
    """The figures of a table.

    Attributes:
        table: (arms, units), NaN where there is no finished run; a unit is a seed, or a fold with the mean over its
            seeds.
        units: Name of each unit.
        overlap: Held-out images for each training image where the units are folds, else None.
    """

    table: np.ndarray
    units: tuple[str, ...]
    overlap: float | None


def values(arms: Sequence[Arm], split: str, metric: str) -> Values:
    """Puts the figures of all arms into one table."""
    blocks = sorted({block for arm in arms for block in arm.finished})
    folds = sorted({fold for fold, _ in blocks})
    by_fold = len(folds) > 1
    units = [(fold,) for fold in folds] if by_fold else blocks
    table = np.full((len(arms), len(units)), np.nan)
    for row, arm in enumerate(arms):
        for column, unit in enumerate(units):
            found = [run.figure(split, metric) for block, run in arm.finished.items() if block[: len(unit)] == unit]
            if found:
                table[row, column] = np.mean(np.array(found, dtype=float))
    names = tuple(f"fold {unit[0]}" if by_fold else name((unit[0], unit[-1])) for unit in units)
    return Values(table, names, 1 / (_folds(arms, folds) - 1) if by_fold else None)


def _folds(arms: Sequence[Arm], seen: Sequence[int]) -> int:
    """How many folds the training images were divided into, or at least how many are known of."""
    summaries = [run.summary for arm in arms for run in arm.finished.values()]
    recorded = max(((one.get("data") or {}).get("folds") or {}).get("count", 0) for one in summaries)
    return recorded or max(2, max(seen) + 1)
