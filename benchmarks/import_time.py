"""Measures ``import cv_attention`` relative to ``import torch`` alone, in fresh processes that alternate.

    python benchmarks/import_time.py [--rounds 5]

Two figures: the bare import, and the import with a first use of `plan`, `record`, `to_heatmap` and `grad_cam`.
"""

import argparse
import statistics
import subprocess
import sys
import time

SIDES = {
    "torch": "import torch",
    "torch + cv_attention": "import torch, cv_attention",
    "and its functions": "import torch, cv_attention as c; c.plan, c.record, c.to_heatmap, c.saliency.grad_cam",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    found: dict[str, list[float]] = {name: [] for name in SIDES}
    for turn in range(rounds + 1):
        for name, code in SIDES.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True)
            if turn:  # the first turn warms the disk cache
                found[name].append(time.perf_counter() - start)
    for name, seconds in found.items():
        ratio = statistics.median(a / b for a, b in zip(seconds, found["torch"], strict=True))
        print(f"{name:<22} median {statistics.median(seconds):6.2f} s   {ratio:5.2f} × torch")


if __name__ == "__main__":
    main()
