"""Trains ResNet-20 on cluttered digits, plain and with blocks at the end of its last stage, with paired seeds.

    python benchmarks/inserted_digits.py [BLOCK ...] [--seeds 0 1 2] [--epochs 5] [--images 4000] [--at stage:-1]
        [--rate 0.05] [--split test]

Within a seed, all networks start from the same backbone weights (blocks as the identity) and see the same batches. SGD
with momentum, one cycle up to `--rate`, weight decay 5e-4, batches of 64. Images are 48×48 with a digit of 20
pixels. Prints a line per run: seed, block, accuracy on 2,000 images of the split in percent, the difference to plain in
points, and processor seconds. Rates are chosen with `--split val` and seeds of their own.
"""

import argparse
import sys
from time import process_time

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import cv_attention as cva
from cv_attention.config import Digits
from cv_attention.data.sources.digits import draw


def tensors(images: object, labels: object) -> tuple[Tensor, Tensor]:
    pixels = torch.as_tensor(images).permute(0, 3, 1, 2).float() / 255
    return (pixels - 0.2) / 0.3, torch.as_tensor(labels)


def train(model: nn.Module, images: Tensor, labels: Tensor, epochs: int, rate: float, seed: int) -> None:
    steps = len(images) // 64
    optimizer = torch.optim.SGD(model.parameters(), rate, 0.9, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=epochs * steps, pct_start=0.2)
    order = torch.Generator().manual_seed(seed)
    for _ in range(epochs):
        for batch in torch.randperm(len(images), generator=order)[: steps * 64].split(64):
            optimizer.zero_grad()
            F.cross_entropy(model(images[batch]), labels[batch]).backward()
            optimizer.step()
            schedule.step()


def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    model.eval()
    with torch.no_grad():
        found = torch.cat([model(part).argmax(1) for part in images.split(500)])
    return 100 * float((found == labels).float().mean())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("blocks", nargs="*", default=["gat", "latent", "transformer_xl"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--rate", type=float, default=0.05)
    parser.add_argument("--split", choices=["val", "test"], default="test")
    parser.add_argument("--at", default="stage:-1")
    options = parser.parse_args()
    torch.set_num_threads(1)
    drawn = draw(Digits(train=options.images, val=2000, test=2000, canvas=48, digit=20))
    data, tested = tensors(*drawn["train"][:2]), tensors(*drawn[options.split][:2])
    for seed in options.seeds:
        plain = 0.0
        for name in [None, *options.blocks]:
            torch.manual_seed(seed)
            model = cva.backbones.build("resnet20", num_classes=10, stem_stride=2)
            if name is not None:
                cva.insert(model, name, at=options.at, init="identity", input_size=48, seed=seed)
            start = process_time()
            train(model, *data, options.epochs, options.rate, seed)
            found = accuracy(model, *tested)
            plain = found if name is None else plain
            print(
                f"{seed} {name or 'plain'} {found:.2f} {found - plain:+.2f} {process_time() - start:.0f} s", flush=True
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
