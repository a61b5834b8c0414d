"""Saliency methods against the plain forward and against pytorch-grad-cam and captum, in turns in one process.

    python benchmarks/saliency.py [--model resnet18] [--batch 16] [--size 224] [--rounds 7] [--device cpu] [--peers]

Prints for each method the median time as a ratio to the plain forward's, the peer's ratio where there is one and the
peer is installed, and the peak memory of tensors against the plain forward's. Goals: 1.1 forwards at most for the CAMs
of the last stage, 1.6 for three stages at once, 1.15 of the memory; 2.5 times pytorch-grad-cam's throughput for its
gradient CAMs and 6 times for EigenCAM; never slower than captum.
"""

import argparse
import importlib
import warnings
from collections.abc import Callable
from functools import partial
from statistics import median
from time import perf_counter

import torch
import torchvision

from cv_attention import saliency

LAST = ["grad_cam", "grad_cam_plus_plus", "xgrad_cam", "layer_cam", "hires_cam", "eigen_cam", "eigen_grad_cam", "cam"]
GRAD_CAM = {
    "grad_cam": "GradCAM",
    "grad_cam_plus_plus": "GradCAMPlusPlus",
    "xgrad_cam": "XGradCAM",
    "layer_cam": "LayerCAM",
    "hires_cam": "HiResCAM",
    "eigen_cam": "EigenCAM",
    "eigen_grad_cam": "EigenGradCAM",
}
CAPTUM = {"gradient": "Saliency", "input_x_gradient": "InputXGradient"}


def timed(function: Callable, device: str) -> float:
    start = perf_counter()
    function()
    if device == "cuda":
        torch.cuda.synchronize()
    return perf_counter() - start


def peak(function: Callable, device: str) -> float:
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


def peers(model: torch.nn.Module, images: torch.Tensor, classes: torch.Tensor) -> dict[str, Callable]:
    """What the installed libraries have, by our names."""
    found = {}
    try:
        library = importlib.import_module("pytorch_grad_cam")
        targets = importlib.import_module("pytorch_grad_cam.utils.model_targets").ClassifierOutputTarget
        wanted = [targets(int(k)) for k in classes]
        for ours, theirs in GRAD_CAM.items():

            def explain(theirs: str = theirs) -> None:  # made anew, as its hooks would slow down the others
                with getattr(library, theirs)(model, [model.layer4]) as explainer:
                    explainer(images, wanted)

            found[ours] = explain
    except ImportError as error:
        print(f"without pytorch-grad-cam: {error}")
    try:
        captum = importlib.import_module("captum.attr")
        for ours, theirs in CAPTUM.items():
            method = getattr(captum, theirs)(model)
            found[ours] = lambda method=method: method.attribute(images.clone().requires_grad_(), classes)
        layer = captum.LayerGradCam(model, model.layer4)
        found["grad_cam (captum)"] = lambda: layer.attribute(images, classes, relu_attributions=True)
    except ImportError as error:
        print(f"without captum: {error}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="resnet18", help="a torchvision ResNet")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--peers", action="store_true", help="pytorch-grad-cam and captum, too")
    options = parser.parse_args()

    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    model = getattr(torchvision.models, options.model)(weights=None).eval().to(options.device)
    images = torch.randn(options.batch, 3, options.size, options.size, device=options.device)
    with torch.no_grad():
        classes = model(images).argmax(1)

    def forward() -> None:
        with torch.no_grad():
            model(images)

    ours = {name: partial(saliency.METHODS[name], model, images, classes) for name in LAST}
    three = ["layer2", "layer3", "layer4"]
    ours["grad_cam, three stages"] = partial(saliency.grad_cam, model, images, classes, layers=three)
    ours |= {name: partial(saliency.METHODS[name], model, images, classes) for name in CAPTUM}
    others = peers(model, images, classes) if options.peers else {}
    everything = {
        "forward": forward,
        **{f"our {k}": v for k, v in ours.items()},
        **{f"its {k}": v for k, v in others.items()},
    }
    times: dict[str, list[float]] = {name: [] for name in everything}
    for function in everything.values():
        function()
    for _ in range(options.rounds):
        for name, function in everything.items():
            times[name].append(timed(function, options.device))
    base, memory = times["forward"], peak(forward, options.device)
    setting = f"{options.model}, batch {options.batch}, {options.size} px, {options.device}"
    print(f"{setting}, {torch.get_num_threads()} threads")
    print(f"forward {median(base) * 1e3:.1f} ms, peak {memory:.0f} MB")
    print(f"{'method':32} {'forwards':>9} {'peer':>7} {'memory':>7}")

    def ratio(name: str) -> float:
        return median(t / b for t, b in zip(times[name], base, strict=True))

    for name, function in ours.items():
        peer = f"{ratio(f'its {name}'):7.2f}" if f"its {name}" in times else "      -"
        print(f"{name:32} {ratio(f'our {name}'):9.2f} {peer} {peak(function, options.device) / memory:7.2f}")
    for name in times:
        if "(captum)" in name:
            print(f"{name.removeprefix('its '):32} {'':9} {ratio(name):7.2f}")


if __name__ == "__main__":
    main()
