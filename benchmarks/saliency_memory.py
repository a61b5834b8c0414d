"""Explains 20,000 images by every saliency method in one process, and prints its resident memory on the way.

    python benchmarks/saliency_memory.py [METHOD ...] [--images 20000] [--batch 100] [--side 16]

A row for each method: resident size of the process after 1,000 images and at the end, the difference in percent, and
bytes for each further image. The network is a small one with convolutions, an attention block and a self-attention
layer over positions, so that every method works; each batch has other images, and maps are dropped. Sizes are
read after Python's garbage collection. Goal: 2 % at most. Slow methods take few draws, which changes nothing of what
they could keep.
"""

import argparse
import gc
import sys
import warnings
from pathlib import Path
from time import process_time
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import cv_attention as cva
from cv_attention.saliency import METHODS

FEW: dict[str, dict[str, Any]] = {
    "rise": {"masks": 4},
    "lime": {"samples": 8, "cells": 2},
    "kernel_shap": {"samples": 6, "cells": 2},
    "feature_ablation": {"cells": 2},
    "extremal_perturbation": {"steps": 2},
    "deep_feature_factorisation": {"concepts": 2, "steps": 5},
    "smooth_grad": {"samples": 2},
    "var_grad": {"samples": 2},
    "expected_gradients": {"samples": 2},
    "gradient_shap": {"samples": 2},
    "integrated_gradients": {"steps": 2},
    "smooth_grad_cam_plus_plus": {"samples": 2},
    "occlusion": {"window": 8, "stride": 8},
    "itti_koch_niebur": {"enlarge": 64},
}


class Small(nn.Module):
    """A network on which every method works: a CBAM, self-attention over positions, and a linear classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 4, 1), nn.BatchNorm2d(8), nn.ReLU())
        self.block, self.qkv = cva.blocks.create("cbam", 8), nn.Conv2d(8, 24, 1)
        self.body = nn.Sequential(nn.Conv2d(8, 8, 3, 1, 1), nn.BatchNorm2d(8), nn.ReLU())
        self.fc = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        """Maps images (B, 3, H, W) to logits (B, 5)."""
        x = self.block(self.stem(x))
        query, key, value = self.qkv(x).flatten(2).mT[:, None].chunk(3, -1)
        x = x + F.scaled_dot_product_attention(query, key, value)[:, 0].mT.unflatten(2, x.shape[2:])
        return self.fc(self.body(x).mean((2, 3)))


def resident() -> int:
    """Bytes of this process in memory (Linux)."""
    gc.collect()
    fields = Path("/proc/self/status").read_text(encoding="utf-8").split("VmRSS:")[1].split()
    return int(fields[0]) * 1024


def explain(name: str, model: nn.Module, count: int, batch: int, side: int) -> None:
    for _ in range(0, count, batch):
        METHODS[name](model, torch.randn(batch, 3, side, side), 1, **FEW.get(name, {}))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("methods", nargs="*", default=list(METHODS))
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--side", type=int, default=16)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    model = Small().eval()
    print("| method | MB after 1,000 | at the end | % | bytes per image | CPU s |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name in options.methods:
        start = process_time()
        explain(name, model, 1000, options.batch, options.side)
        first = resident()
        explain(name, model, options.images - 1000, options.batch, options.side)
        last = resident()
        more = last - first
        print(
            f"| `{name}` | {first / 1e6:.1f} | {last / 1e6:.1f} | {100 * more / first:+.2f} "
            f"| {more / (options.images - 1000):+.0f} | {process_time() - start:.0f} |",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
