"""Trains the backbone `perceiver` on scikit-learn's handwritten digits as they are, 8×8 pixels.

    python benchmarks/perceiver_digits.py [--seeds 0] [--epochs 20]

1,437 training and 360 test images, stratified; AdamW, one cycle up to a rate of 3e-3, batches of 64. Prints the test
accuracy and processor seconds, then the accuracy on the same images with their pixels permuted: with their positions,
and alone.
"""

import argparse
import sys
from time import process_time

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor

from cv_attention import backbones
from cv_attention.blocks.functional import grid_positions


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--epochs", type=int, default=20)
    options = parser.parse_args()
    torch.set_num_threads(1)
    pixels, classes = load_digits(return_X_y=True)
    images = torch.tensor(pixels, dtype=torch.float32).view(-1, 1, 8, 8) / 8 - 1
    labels = torch.tensor(classes)
    parts = train_test_split(range(len(labels)), test_size=0.2, stratify=classes, random_state=0)
    training, tested = (torch.tensor(part) for part in parts)
    steps = len(training) // 64
    for seed in options.seeds:
        torch.manual_seed(seed)
        start = process_time()
        model = backbones.build("perceiver", num_classes=10, in_chans=1, resolution=8)
        optimizer = torch.optim.AdamW(model.parameters(), 3e-3, weight_decay=0.01)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=options.epochs * steps)
        for _ in range(options.epochs):
            for batch in training[torch.randperm(len(training))[: steps * 64]].split(64):
                optimizer.zero_grad()
                F.cross_entropy(model(images[batch]), labels[batch]).backward()
                optimizer.step()
                schedule.step()
        seconds = process_time() - start
        values, positions = images[tested].flatten(2).transpose(1, 2), grid_positions(8, 8)
        order = torch.randperm(64)
        with torch.no_grad():
            model.eval()
            plain = model(images[tested])
            together, alone = (model.forward_inputs(values[:, order], p) for p in (positions[order], positions))

        def accuracy(logits: Tensor) -> str:
            return f"{100 * float((logits.argmax(1) == labels[tested]).float().mean()):.2f} %"

        shown = [accuracy(logits) for logits in (plain, together, alone)]
        print(f"seed {seed}: {shown[0]} in {seconds:.0f} s; permuted with positions {shown[1]}, alone {shown[2]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
