"""Saliency methods against the plain forward and pytorch-grad-cam, captum and torchcam, in turns in one process.

    python benchmarks/saliency.py [METHOD ...] [--peers] [--model resnet18] [--batch 16] [--size 224] [--rounds 5]
                                  [--device cpu]

Prints for each method the median time as a ratio to the plain forward's, the peers' ratios where they have the method
and are installed, and the peak memory of tensors against the plain forward's. On a CPU it is the process's own CPU time
on one thread, which other processes disturb little; peers are created for each call, as their hooks would slow down
the others. A method that runs the network on copies of an image has their number in its name, and its ratio is to so
many forwards. Vision transformers, such as ``--model timm/vit_small_patch16_224``, are explained at the last block's
first norm, for which pytorch-grad-cam is told how to make a grid of tokens; torchcam and captum have no CAMs of tokens.

Goals: 1.1 forwards at most for the CAMs of the last stage and 1.15 of the memory, 1.6 for three stages at once, 1.1 of
their own forwards for methods of copies; 2.5 times pytorch-grad-cam's throughput for its gradient CAMs and 6 times for
EigenCAM; never slower than captum or torchcam.
"""

import argparse
import importlib
import warnings
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import timm
import torch
import torchvision
from clock import Clock

from cv_attention import saliency

LAST = ["grad_cam", "grad_cam_plus_plus", "xgrad_cam", "layer_cam", "hires_cam", "eigen_cam", "eigen_grad_cam"]
GRAD_CAM = {
    "grad_cam": "GradCAM",
    "grad_cam_plus_plus": "GradCAMPlusPlus",
    "xgrad_cam": "XGradCAM",
    "layer_cam": "LayerCAM",
    "hires_cam": "HiResCAM",
    "eigen_cam": "EigenCAM",
    "eigen_grad_cam": "EigenGradCAM",
}
TORCHCAM = {"grad_cam": "GradCAM", "grad_cam_plus_plus": "GradCAMpp", "xgrad_cam": "XGradCAM", "layer_cam": "LayerCAM"}
CAPTUM = {"gradient": "Saliency", "input_x_gradient": "InputXGradient", "integrated_gradients": "IntegratedGradients"}
STEPS = 4  # of integrated gradients, for both
COPIES = 16  # of an image in one forward, for captum; ours takes as many


def library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        print(f"without {name}: {error}")
        return None


def peers(model: torch.nn.Module, images: torch.Tensor, classes: torch.Tensor) -> dict[tuple[str, str], Callable]:
    """What the installed libraries have, by our name of the method and the library's."""
    found: dict[tuple[str, str], Callable] = {}
    tokens = not hasattr(model, "layer4")
    layer = model.blocks[-1].norm1 if tokens else model.layer4
    if grad_cam := library("pytorch_grad_cam"):
        wanted = [grad_cam.utils.model_targets.ClassifierOutputTarget(int(k)) for k in classes]

        def explain(theirs: str) -> None:
            with getattr(grad_cam, theirs)(model, [layer], reshape_transform=grid if tokens else None) as explainer:
                explainer(images, wanted)

        found |= {(ours, "grad-cam"): partial(explain, theirs) for ours, theirs in GRAD_CAM.items()}
    if not tokens and (torchcam := library("torchcam.methods")):

        def extract(theirs: str) -> None:
            with getattr(torchcam, theirs)(model, "layer4") as extractor:
                extractor(classes.tolist(), model(images))

        found |= {(ours, "torchcam"): partial(extract, theirs) for ours, theirs in TORCHCAM.items()}
    if captum := library("captum.attr"):

        def attribute(theirs: str) -> None:
            options = {"n_steps": STEPS} if theirs == "IntegratedGradients" else {}
            getattr(captum, theirs)(model).attribute(images.clone().requires_grad_(), target=classes, **options)

        found |= {(ours, "captum"): partial(attribute, theirs) for ours, theirs in CAPTUM.items()}
        found |= {
            (name, "captum"): function for name, function in captum_copies(captum, model, images, classes).items()
        }
        if not tokens:
            cam = captum.LayerGradCam(model, layer)
            found["grad_cam", "captum"] = lambda: cam.attribute(images, classes, relu_attributions=True)
    return found


def grid(tokens: torch.Tensor) -> torch.Tensor:
    """Makes (B, C, 14, 14) of the tokens of a ViT, without its class token."""
    return tokens[:, 1:].mT.unflatten(2, (14, 14))


def captum_copies(captum: Any, model: torch.nn.Module, images: torch.Tensor, classes: torch.Tensor) -> dict:
    """The methods of `copies`, of captum, with as many copies in one forward as it is given."""
    side = images.shape[2] // 7
    window, at_once = (3, side, side), {"perturbations_per_eval": COPIES}
    occlusion, ablation = captum.Occlusion(model), captum.FeatureAblation(model)
    lines = torch.arange(images.shape[2]) // side
    segments = (lines[:, None] * 7 + lines).to(images.device)[None, None].expand_as(images)
    return {
        f"occlusion, {49 + 1}": lambda: occlusion.attribute(images, window, window, target=classes, **at_once),
        f"feature_ablation, {49 + 1}": lambda: ablation.attribute(
            images, target=classes, feature_mask=segments, **at_once
        ),
    }


def copies(model: torch.nn.Module, images: torch.Tensor, classes: torch.Tensor) -> dict:
    """Methods that explain by copies of an image; how many forwards they take is the end of the name."""
    side = images.shape[2] // 7
    lines = torch.arange(images.shape[2]) // side
    segments = (lines[:, None] * 7 + lines).to(images.device)[None, None]
    return {
        f"occlusion, {49 + 1}": partial(saliency.occlusion, model, images, classes, window=side, stride=side),
        f"feature_ablation, {49 + 1}": partial(saliency.feature_ablation, model, images, classes, segments=segments),
        "rise, 48": partial(saliency.rise, model, images, classes, masks=48),
    }


def our_methods(model: torch.nn.Module, images: torch.Tensor, classes: torch.Tensor, pixels: bool) -> dict:
    ours = {name: partial(saliency.METHODS[name], model, images, classes) for name in LAST}
    if hasattr(model, "layer4"):
        three = ["layer2", "layer3", "layer4"]
        ours["grad_cam, two stages"] = partial(saliency.grad_cam, model, images, classes, layers=three[1:])
        ours["grad_cam, three stages"] = partial(saliency.grad_cam, model, images, classes, layers=three)
    few = torch.stack([classes, (classes + 1) % 1000, (classes + 2) % 1000], 1)
    ours["grad_cam, three targets"] = partial(saliency.grad_cam, model, images, few)
    if pixels:
        ours["gradient"] = partial(saliency.gradient, model, images, classes)
        ours["input_x_gradient"] = partial(saliency.input_x_gradient, model, images, classes)
        ours["integrated_gradients"] = partial(saliency.integrated_gradients, model, images, classes, steps=STEPS)
        ours |= copies(model, images, classes)
    return ours


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("methods", nargs="*", help="all of the table unless given")
    parser.add_argument("--model", default="resnet18", help="a torchvision ResNet, or timm/NAME of a ViT")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--peers", action="store_true", help="pytorch-grad-cam, captum and torchcam, too")
    options = parser.parse_args()

    warnings.simplefilter("ignore")
    if options.device == "cpu":
        torch.set_num_threads(1)
    torch.manual_seed(0)
    name = options.model.removeprefix("timm/")
    model = timm.create_model(name) if name != options.model else getattr(torchvision.models, name)(weights=None)
    model = model.eval().to(options.device)
    images = torch.randn(options.batch, 3, options.size, options.size, device=options.device)
    if options.size < 64:  # as for CIFAR: no early loss of resolution
        model.conv1 = torch.nn.Conv2d(3, 64, 3, 1, 1, bias=False).to(options.device)
        model.maxpool = torch.nn.Identity()
    with torch.no_grad():
        classes = model(images).argmax(1)

    def forward() -> None:
        with torch.no_grad():
            model(images)

    ours = our_methods(model, images, classes, options.peers)
    ours = {name: function for name, function in ours.items() if name in (options.methods or ours)}
    others = peers(model, images, classes) if options.peers else {}
    others = {key: function for key, function in others.items() if key[0] in ours}
    everything: dict[Any, Callable] = {"forward": forward, **ours, **others}
    clock = Clock(options.device)
    times = dict(zip(everything, clock.in_turns(list(everything.values()), options.rounds), strict=True))
    base, memory = times["forward"], clock.peak(forward)

    def ratio(name: Any) -> str:
        said = (name if isinstance(name, str) else name[0]).rpartition(", ")[2]
        forwards = int(said) if said.isdigit() else 1
        ratios = [t / b / forwards for t, b in zip(times.get(name, []), base, strict=False)]
        return f"{median(ratios):.2f}" if ratios else "-"

    libraries = ["grad-cam", "captum", "torchcam"] if others else []
    print(f"{options.model}, batch {options.batch}, {options.size} px, {options.device}: forward {median(base):.3f} s")
    print(f"\n| method | forwards |{''.join(f' {name} |' for name in libraries)} memory |")
    print("| --- |" + " ---: |" * (2 + len(libraries)))
    for name, function in ours.items():
        row = [
            ratio(name),
            *(ratio((name, peer)) for peer in libraries),
            f"{clock.peak(function) / memory:.2f}",
        ]
        print(f"| {name} | {' | '.join(row)} |")


if __name__ == "__main__":
    main()
