"""Compares networks that read: errors by the length of the text, where their weights lie, greedy and beam search.

    python benchmarks/reading.py runs/A runs/B --beams 5

Prints a Markdown table with a row for each training run, measured on its own test split.
"""

import argparse
from collections import defaultdict
from pathlib import Path

import torch

from cv_attention import training
from cv_attention.alignment import align
from cv_attention.rundir import summary
from cv_attention.training.splits import open_data

_BATCH = 100


def readings(task: training.Transcriber, split: object, beams: int) -> list[str]:
    """Reads all images of a split."""
    texts: list[str] = []
    for start in range(0, len(split), _BATCH):  # pyright: ignore[reportArgumentType]
        draws = [(0, index) for index in range(start, min(start + _BATCH, len(split)))]  # pyright: ignore[reportArgumentType]
        batch = split.batch(draws)  # pyright: ignore[reportAttributeAccessIssue]
        found = task.read(batch["image"], task.columns(batch), beams=beams)
        texts += [reading.text for reading in found]
    return texts


def errors(read: str, true: str) -> int:
    """Counts what must be changed in a text."""
    return sum(
        pair.read is None or pair.true is None or read[pair.read] != true[pair.true] for pair in align(read, true)
    )


def row(run: Path, beams: int) -> list[str]:
    """Measures one training run."""
    task = training.load(training.find_checkpoint(run), task=training.Transcriber)
    data = open_data(task, None, "test")
    truths = list(data.texts("test"))
    greedy, searched = (readings(task, data.splits["test"], count) for count in (1, beams))
    wrong, units = defaultdict(int), defaultdict(int)
    for read, true in zip(greedy, truths, strict=True):
        wrong[len(true)] += errors(read, true)
        units[len(true)] += len(true)
    exact = [sum(map(str.__eq__, texts, truths)) / len(truths) for texts in (greedy, searched)]
    known = summary.read(run)
    pointing = training.evaluate(task).get("attention_in_box")
    head = sum(parameter.numel() for parameter in task.network.head.parameters())
    figures = [100 * sum(wrong.values()) / sum(units.values()), *(100 * share for share in exact)]
    figures += [100 * wrong[length] / units[length] for length in sorted(units)]
    shown = [f"{figure:.2f}" for figure in figures]
    points = "–" if pointing is None or pointing != pointing else f"{100 * pointing:.1f}"
    return [run.name, f"{head:,}", *shown[:3], points, *shown[3:], f"{known.get('training_seconds', float('nan')):.0f}"]


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--beams", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = [row(run, options.beams) for run in options.runs]
    lengths = range(1, len(rows[0]) - 6)
    titles = ["run", "parameters of the head", "CER %", "exact %", f"exact %, {options.beams} beams", "in box %"]
    titles += [f"CER %, length {length}" for length in lengths] + ["training s"]
    print("|".join(["", *titles, ""]), "|".join(["", "---", *["---:"] * (len(titles) - 1), ""]), sep="\n")
    print(*("|".join(["", *cells, ""]) for cells in rows), sep="\n")


if __name__ == "__main__":
    main()
