"""Grad-CAM against the plain forward: ResNet-18, in turns in one process, medians.

    python benchmarks/grad_cam.py [--batch 16] [--size 224] [--rounds 15] [--device cpu]

Prints the ratio (1.15 at most is the target) and the peak memory of both. The first call, which also finds the last
stage, is not timed and printed apart.
"""

import argparse
from statistics import median
from time import perf_counter

import torch
import torchvision

from cv_attention.saliency import grad_cam


def timed(function, device: str) -> float:
    start = perf_counter()
    function()
    if device == "cuda":
        torch.cuda.synchronize()
    return perf_counter() - start


def peak(function, device: str) -> float:
    """Largest memory in MB that tensors take beyond what is there already."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        function()
        return (torch.cuda.max_memory_allocated() - before) / 1e6
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        function()
    now = most = 0
    for event in profile.profiler.kineto_results.events():
        if event.name() == "[memory]":
            now += event.nbytes()
            most = max(most, now)
    return most / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--layers", nargs="*", help="module names; the last stage unless given")
    options = parser.parse_args()

    torch.manual_seed(0)
    model = torchvision.models.resnet18(weights=None).eval().to(options.device)
    images = torch.randn(options.batch, 3, options.size, options.size, device=options.device)

    def forward() -> None:
        with torch.no_grad():
            model(images)

    def explain() -> None:
        grad_cam(model, images, layers=options.layers)

    forward()
    first = timed(explain, options.device)
    times = [(timed(forward, options.device), timed(explain, options.device)) for _ in range(options.rounds)]
    plain, cam = (median(column) for column in zip(*times, strict=True))
    print(f"forward          {plain * 1e3:8.1f} ms")
    print(f"Grad-CAM         {cam * 1e3:8.1f} ms   first call {first * 1e3:.1f} ms")
    print(f"ratio            {cam / plain:8.3f}      median of pairs {median(c / p for p, c in times):.3f}")
    print(f"peak memory      {peak(forward, options.device):8.1f} MB against {peak(explain, options.device):.1f} MB")


if __name__ == "__main__":
    main()
