"""Computes activations and gradients of chosen modules with one forward pass and a partial backward pass."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cv_attention.maps.wrappers import unwrap
from cv_attention.saliency.core.layers import Layers, bare_logits, find_layers
from cv_attention.saliency.core.layouts import to_grid
from cv_attention.saliency.core.state import undisturbed
from cv_attention.saliency.core.targets import Targets, each_target, target_scores
from cv_attention.saliency.core.unfused import Unfused


@dataclass(frozen=True)
class Trace:
    """Holds the results of one forward pass and the backward pass to the chosen layers.

    Attributes:
        logits: (B, classes), in the model's precision.
        activations: Layer -> its output as (B, C, h, w), before any in-place modification.
        gradients: For each target: layer -> the derivative of the image's score with respect to that output, same
            shape. Empty if not requested.
        curvatures: For each target: layer -> the Hessian of the score times the output. Empty if not requested.
    """

    logits: Tensor
    activations: dict[str, Tensor]
    gradients: list[dict[str, Tensor]]
    curvatures: list[dict[str, Tensor]]


def trace(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    layers: Layers = None,
    *,
    gradients: bool = True,
    curvatures: bool = False,
) -> Trace:
    """Runs `model` once and differentiates the target scores of each image with respect to the outputs of `layers`.

    The graph starts at the first of the layers: before it nothing is stored and nothing needs gradients, so the cost is
    one forward pass and the backward pass from the logits to that layer, even with frozen parameters and under the
    caller's ``no_grad`` or ``inference_mode``. For a module that runs several times, the last run is used.

    Args:
        model: Maps `images` to logits (B, classes); run in eval mode and restored afterwards.
        images: Model inputs (B, 3, H, W), on the model's device.
        targets: One or several scores per image, see `Targets`; each costs a backward pass.
        layers: Modules with outputs (B, C, h, w), (B, h, w, C) or tokens (B, N, C), see `find_layers` and `to_grid`.
        gradients: Whether to compute gradients; methods that need only activations save the backward pass.
        curvatures: Whether to differentiate twice.

    Raises:
        ValueError: for bad images, targets or layers, or if the model does not return logits.
    """
    images = check_images(images)
    model = unwrap(model)
    with undisturbed(model, images.device.type):
        images = plain(images)
        modules = find_layers(model, images, layers)
        outputs: dict[str, Tensor] = {}
        with ExitStack() as hooks:
            _watch(modules, outputs, hooks, gradients, images)
            if curvatures:
                hooks.enter_context(Unfused())
            logits = model(images)
        logits = check_logits(logits, len(images), model)
        missing = [name for name in modules if name not in outputs]
        if missing:
            raise ValueError(f"layer {missing[0]!r} did not run in the forward pass of {type(model).__name__}")
        outputs = {name: outputs[name] for name in modules}
        first, second = [], []
        if gradients or curvatures:
            for gradient in _differentiate(logits, targets, outputs, curvatures):
                second += [_grids(_differentiate_again(gradient, outputs), images)] if curvatures else []
                first.append(_grids(gradient, images))
        return Trace(logits.detach(), _grids(outputs, images), first, second)


def _grids(values: dict[str, Tensor], images: Tensor) -> dict[str, Tensor]:
    """Returns outputs or their derivatives, detached, as (B, C, h, w)."""
    grids = {name: to_grid(value.detach(), images) for name, value in values.items()}
    return {name: grid for name, grid in grids.items() if grid is not None}


def check_images(images: object) -> Tensor:
    """Returns `images` if they are a batch (B, C, H, W); ValueError otherwise."""
    if isinstance(images, Tensor) and images.dim() == 4 and len(images) > 0:
        return images
    got = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
    raise ValueError(f"images must be a batch (B, C, H, W) of at least one image, got {got}")


def plain(images: Tensor) -> Tensor:
    """Returns `images` detached and, if an inference tensor, copied: those cannot be used in autograd."""
    return images.detach().clone() if images.is_inference() else images.detach()


def _watch(
    layers: dict[str, nn.Module], outputs: dict[str, Tensor], hooks: ExitStack, gradients: bool, images: Tensor
) -> None:
    """Hooks the layers: each stores its output in `outputs`, and the first that runs starts the graph."""
    thread = threading.get_ident()

    def watch(name: str, output: object) -> Tensor | None:
        if threading.get_ident() != thread:  # a forward pass of the same model in another thread
            return None
        if not isinstance(output, Tensor) or to_grid(output, images) is None:
            got = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
            raise ValueError(f"layer {name!r} must return a feature map (B, C, h, w) or tokens of a grid, got {got}")
        if gradients and not (torch.is_grad_enabled() and output.requires_grad):
            output = output.detach().requires_grad_()
            torch.set_grad_enabled(True)  # until `undisturbed` ends
        outputs[name] = output
        return output.clone()  # later modules may modify it in place

    for name, module in layers.items():
        hook = module.register_forward_hook(lambda module, _, output, name=name: watch(name, output))
        hooks.callback(hook.remove)


def check_logits(logits: object, batch: int, model: nn.Module) -> Tensor:
    """Returns the model output, or its `logits`, if of shape (batch, classes); raises ValueError otherwise."""
    logits = bare_logits(logits)
    if isinstance(logits, Tensor) and logits.dim() == 2 and len(logits) == batch:
        return logits
    got = f"shape {tuple(logits.shape)}" if isinstance(logits, Tensor) else f"a {type(logits).__name__}"
    raise ValueError(f"{type(model).__name__} must return logits ({batch}, classes) for {batch} images, got {got}")


def _differentiate(
    logits: Tensor, targets: Targets, outputs: dict[str, Tensor], again: bool
) -> Iterator[dict[str, Tensor]]:
    """Yields, for each target, the derivatives of its scores with respect to the outputs."""
    with torch.enable_grad():
        columns = [target_scores(logits, target) for target in each_target(targets)]
    places = list(outputs.values())
    for number, scores in enumerate(columns):
        gradients: tuple[Tensor | None, ...] = (None,) * len(places)
        if scores.requires_grad:
            with torch.enable_grad():
                gradients = torch.autograd.grad(
                    scores.sum(),
                    places,
                    allow_unused=True,
                    create_graph=again,
                    retain_graph=number + 1 < len(columns) or again,
                )
        result = {}
        for name, gradient in zip(outputs, gradients, strict=True):
            if gradient is None:
                raise ValueError(
                    f"the target scores do not depend on the output of layer {name!r}, or gradients are turned off "
                    "after it"
                )
            result[name] = gradient
        yield result


def _differentiate_again(gradients: dict[str, Tensor], outputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Returns the Hessian times the output; zero if the gradient does not depend on it, as before a linear head."""
    result = {}
    for name, gradient in gradients.items():
        curvature = None
        if gradient.requires_grad:
            (curvature,) = torch.autograd.grad(
                gradient, outputs[name], outputs[name].detach(), allow_unused=True, retain_graph=True
            )
        result[name] = torch.zeros_like(gradient) if curvature is None else curvature
    return result
