"""Tells how a differentiable neural computer reads at each step: by content, or along its temporal links.

    python benchmarks/read_modes.py RUN [--episodes 300]

Prints the mean shares of the three read modes at each step, over test episodes and over the read heads: *forward* leads
from what was read a step before to what was written after it, *backward* to what was written before it.
"""

import argparse
from pathlib import Path

import torch

from cv_attention import heads, training
from cv_attention.training.splits import open_data


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--episodes", type=int, default=300)
    options = parser.parse_args()
    torch.set_num_threads(1)
    task = training.load(training.find_checkpoint(options.run), task=training.Recaller)
    split = open_data(task, None, "test").splits["test"]
    head = task.network.head
    assert isinstance(head, heads.RecallHead)
    assert head.cell is not None
    states: list = []
    head.cell.register_forward_hook(lambda _module, _given, result: states.append(result[1]))
    batch = split.batch([(0, index) for index in range(min(options.episodes, len(split)))])
    with torch.no_grad():
        task.eval()(batch)
    modes = torch.stack([state.modes.mean((0, 1)) for state in states])
    print("| step | backward | content | forward |\n| ---: | ---: | ---: | ---: |")
    for step, shares in enumerate(modes.tolist(), 1):
        print(f"| {step} | {' | '.join(f'{share:.2f}' for share in shares)} |")


if __name__ == "__main__":
    main()
