"""Relevance propagation, DeepLIFT and SHAP values against a forward and a backward pass, and captum and zennit.

    python benchmarks/relevance_speed.py [--batch 1] [--rounds 5]

Prints the median time of each method as a ratio to a forward pass and a backward pass to the images, all in turns in
one process, for ResNet-50 and ViT-S/16 at 224 px with random weights and without gradients of parameters, on one
thread, in the process's own time. Goals: 1.5 for `lrp` with its default rules, and never slower than captum.
"""

import argparse
import copy
import importlib
import warnings
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import timm
import torch
from clock import Clock
from torch import Tensor, nn

from cv_attention import saliency as s

GRID = (torch.arange(224)[:, None] // 56 * 4 + torch.arange(224) // 56)[None, None]  # 4 x 4 segments


def ours(model: nn.Module, images: Tensor, classes: Tensor) -> dict[str, Callable]:
    trained = copy.deepcopy(model).requires_grad_(True)

    def training() -> None:
        x = images.clone().requires_grad_()
        torch.autograd.grad(trained(x).gather(1, classes[:, None]).sum(), [x, *trained.parameters()])

    found: dict[str, Callable] = {
        "a forward and a whole backward pass": training,
        "lrp": partial(s.lrp, model, images, classes),
        "lrp, epsilon": partial(s.lrp, model, images, classes, rules="epsilon"),
        "lrp, epsilon_gamma_box": partial(s.lrp, model, images, classes, rules="epsilon_gamma_box"),
        "attn_lrp": partial(s.attn_lrp, model, images, classes),
        "deep_lift": partial(s.deep_lift, model, images, classes),
        "gradient_shap, 4 draws": partial(s.gradient_shap, model, images, classes, samples=4),
        "feature_ablation, 16 segments": partial(s.feature_ablation, model, images, classes, segments=GRID),
        "kernel_shap, 16 draws": partial(s.kernel_shap, model, images, classes, segments=GRID, samples=16),
    }
    if isinstance(getattr(model, "layer4", None), nn.Module):
        found["guided_grad_cam"] = partial(s.guided_grad_cam, model, images, classes, layers="layer4")
    else:
        found["le_grad"] = partial(s.le_grad, model, images, classes)
    return found


def peers(model: nn.Module, images: Tensor, classes: Tensor) -> dict[tuple[str, str], Callable]:
    """What captum and zennit have, on a copy without functions in place, which they cannot have."""
    model = copy.deepcopy(model)
    for module in model.modules():
        if hasattr(module, "inplace"):
            module.inplace = False
    captum = importlib.import_module("captum.attr")
    mask, few = GRID.expand_as(images), {"target": classes}
    base = torch.zeros(1, 3, 224, 224)
    found: dict[tuple[str, str], Callable] = {
        ("gradient_shap, 4 draws", "captum"): partial(
            captum.GradientShap(model).attribute, images, base, n_samples=4, stdevs=0.1, **few
        ),
        ("feature_ablation, 16 segments", "captum"): partial(
            captum.FeatureAblation(model).attribute, images, feature_mask=mask, **few
        ),
        ("kernel_shap, 16 draws", "captum"): partial(
            captum.KernelShap(model).attribute, images, feature_mask=mask, n_samples=18, **few
        ),
    }
    if isinstance(getattr(model, "layer4", None), nn.Module):
        found["guided_grad_cam", "captum"] = partial(captum.GuidedGradCam(model, model.layer4).attribute, images, **few)
        found["deep_lift", "captum"] = partial(captum.DeepLift(copy.deepcopy(model)).attribute, images, **few)
        try:
            composites = importlib.import_module("zennit.composites")
        except ImportError:
            return found
        attribution = importlib.import_module("zennit.attribution")
        canonizers = [importlib.import_module("zennit.canonizers").SequentialMergeBatchNorm()]
        one = nn.functional.one_hot(classes, 1000)

        def zennit(composite: Any) -> None:
            with attribution.Gradient(model, composite) as attributor:
                attributor(images.clone(), lambda z: one * z)

        found["lrp", "zennit"] = partial(zennit, composites.EpsilonPlus(canonizers=canonizers))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--models", nargs="+", default=["resnet50", "vit_small_patch16_224"])
    parser.add_argument("--only", nargs="+", help="methods to time, all unless given")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    for name in options.models:
        torch.manual_seed(0)
        model = timm.create_model(name).eval().requires_grad_(False)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):  # some start at 0, which would leave nothing to propagate
                nn.init.uniform_(module.weight, 0.5, 1.0)
        images = torch.randn(options.batch, 3, 224, 224)
        with torch.no_grad():
            classes = model(images).argmax(1)

        def both(model: nn.Module = model, images: Tensor = images, classes: Tensor = classes) -> None:
            x = images.clone().requires_grad_()
            torch.autograd.grad(model(x).gather(1, classes[:, None]).sum(), x)

        methods, others = ours(model, images, classes), peers(model, images, classes)
        methods = {key: value for key, value in methods.items() if key in (options.only or methods)}
        others = {key: value for key, value in others.items() if key[0] in methods}
        everything: dict[Any, Callable] = {"both": both, **methods, **others}
        clock = Clock("cpu")
        times = dict(zip(everything, clock.in_turns(list(everything.values()), options.rounds), strict=True))

        def ratio(key: Any, times: dict = times) -> str:
            if key not in times:
                return "-"
            return f"{median(t / b for t, b in zip(times[key], times['both'], strict=True)):.2f}"

        print(f"{name}, batch {options.batch}: forward and backward {median(times['both']):.3f} s\n")
        print("| method | ours | captum | zennit |\n| --- | ---: | ---: | ---: |")
        for method in methods:
            print(f"| {method} | {ratio(method)} | {ratio((method, 'captum'))} | {ratio((method, 'zennit'))} |")
        print()


if __name__ == "__main__":
    main()
