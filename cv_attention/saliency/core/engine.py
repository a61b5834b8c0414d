"""Computes activations and gradients of chosen modules with one forward pass and a partial backward pass."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from cv_attention.maps.wrappers import unwrap
from cv_attention.saliency.core.forward import run
from cv_attention.saliency.core.layers import Layer, Layers, find_layers, last_map, place_of
from cv_attention.saliency.core.outputs.explanation import note_layer
from cv_attention.saliency.core.outputs.results import Result
from cv_attention.saliency.core.places.layouts import Layout, grid_of_map
from cv_attention.saliency.core.state import undisturbed
from cv_attention.saliency.core.targets import Targets, each_target, target_scores
from cv_attention.saliency.core.unfused import Unfused


@dataclass(frozen=True)
class Trace:
    """Holds the results of one forward pass and the backward pass to the chosen layers.

    Attributes:
        result: What the model returned, detached.
        activations: Layer -> its output as (B, C, h, w), before any in-place modification.
        gradients: For each target: layer -> the derivative of the image's score with respect to that output, same
            shape. Empty if not requested.
        curvatures: For each target: layer -> the Hessian of the score times the output. Empty if not requested.
        layouts: Layer -> how its output became (B, C, h, w).
    """

    result: Result
    activations: dict[str, Tensor]
    gradients: list[dict[str, Tensor]]
    curvatures: list[dict[str, Tensor]]
    layouts: dict[str, Callable[[Tensor], Tensor]]

    @property
    def logits(self) -> Tensor:
        """Returns the logits (B, classes), in the model's precision; raises ValueError if there are none."""
        return self.result.logits


def trace(
    model: nn.Module,
    images: Tensor,
    targets: Targets = None,
    layers: Layers = None,
    *,
    layout: Layout = None,
    gradients: bool = True,
    curvatures: bool = False,
) -> Trace:
    """Runs `model` once and differentiates the target scores of each image with respect to the outputs of `layers`.

    The graph starts at the first of the layers: before it nothing is stored and nothing needs gradients, so the cost is
    one forward pass and the backward pass from the output to that layer, even with frozen parameters and under the
    caller's ``no_grad`` or ``inference_mode``. For a module that runs several times, the last run is used.

    Args:
        model: Maps `images` to logits (B, classes), or to what `targets` take; run in eval mode and restored
            afterwards.
        images: Model inputs (B, C, H, W), on the model's device.
        targets: One or several scores per image, see `Targets`; each costs a backward pass.
        layers: Modules with outputs (B, C, h, w), (B, h, w, C) or tokens (B, N, C), see `find_layers`.
        layout: From a layer's output to (B, C, h, w); None finds it out.
        gradients: Whether to compute gradients; methods that need only activations save the backward pass.
        curvatures: Whether to differentiate twice.

    Raises:
        ValueError: for bad images, targets or layers, or if the model does not return what the targets need.
    """
    images = check_images(images)
    model = unwrap(model)
    if layout is not None and not callable(layout):
        raise ValueError(f"layout must be a callable from a layer's output to (B, C, h, w), got {layout!r}")
    with undisturbed(model, images.device.type):
        images = plain(images)
        chosen = find_layers(model, images, layers, targets, layout, strict=gradients)
        seen = _trace(model, images, targets, chosen, gradients, curvatures)
        if layers is None and gradients and _left_out(seen):  # detectors use other maps for other images
            name, place = last_map(model, images, targets, strict=True, everywhere=True)
            if name not in chosen:
                chosen = {name: Layer(dict(model.named_modules())[name], layout or place.grid)}
                seen = _trace(model, images, targets, chosen, gradients, curvatures)
        for name, activations in seen.activations.items():
            note_layer(name, tuple(activations.shape[2:]))
        return seen


def _trace(
    model: nn.Module, images: Tensor, targets: Targets, layers: dict[str, Layer], gradients: bool, curvatures: bool
) -> Trace:
    outputs: dict[str, Tensor] = {}
    with ExitStack() as hooks:
        _watch(layers, outputs, hooks, gradients)
        if curvatures:
            hooks.enter_context(Unfused())
        result = Result(run(model, images), len(images), type(model).__name__)
    missing = [name for name in layers if name not in outputs]
    if missing:
        raise ValueError(f"layer {missing[0]!r} did not run in the forward pass of {type(model).__name__}")
    outputs = {name: outputs[name] for name in layers}
    if not gradients:
        check_targets(result, targets)
    layouts = {name: _layout(model, name, layer, outputs[name], images) for name, layer in layers.items()}
    first, second = [], []
    if gradients or curvatures:
        for gradient in _differentiate(result, targets, outputs, curvatures):
            second += [_grids(_differentiate_again(gradient, outputs), layouts)] if curvatures else []
            first.append(_grids(gradient, layouts))
    return Trace(result.detached(), _grids(outputs, layouts), first, second, layouts)


def _layout(model: nn.Module, name: str, layer: Layer, output: Tensor, images: Tensor) -> Callable[[Tensor], Tensor]:
    """Returns how a layer's output becomes (B, C, h, w); of tokens this is measured, once."""
    layout, shape, why = layer.layout, tuple(output.shape), ""
    if layout is None and output.dim() == images.dim():
        layout = grid_of_map(output, images)
    elif layout is None and output.dim() == 3:
        place = place_of(model, images, name)
        layout, why = (place.grid, place.why) if place is not None else (None, "")
    grid = layout(output.detach()) if layout is not None and len(output) else None
    if layout is not None and isinstance(grid, Tensor) and grid.dim() == images.dim() and len(grid) == len(images):
        return layout
    if layer.layout is not None:
        got = tuple(grid.shape) if isinstance(grid, Tensor) else type(grid).__name__
        raise ValueError(f"layout must return (B, C, h, w) for layer {name!r} of shape {shape}, got {got}")
    raise ValueError(
        f"layer {name!r} must return a feature map (B, C, h, w) or tokens of a grid, got {shape}"
        + (f": {why}; give layout= for tokens in another order" if why else "")
    )


def _left_out(seen: Trace) -> bool:
    """Returns whether the score of an image does not depend on any of the layers, though those of others do."""
    grids = [
        torch.stack([g.flatten(1).ne(0).any(1) for g in of_target.values()]).any(0) for of_target in seen.gradients
    ]
    return any(bool(one.any()) and not bool(one.all()) for one in grids)


def _grids(values: dict[str, Tensor], layouts: dict[str, Callable[[Tensor], Tensor]]) -> dict[str, Tensor]:
    """Returns outputs or their derivatives, detached, as (B, C, h, w)."""
    return {name: layouts[name](value.detach()) for name, value in values.items()}


def check_images(images: object, flat: str | None = None) -> Tensor:
    """Returns `images` if they are a finite batch (B, C, H, W), or of volumes (B, C, D, H, W); ValueError otherwise.

    Args:
        images: What was given as images.
        flat: Name of a method that takes no volumes.
    """
    if isinstance(images, Tensor) and images.dim() in (4, 5) and len(images) > 0:
        if not images.is_floating_point():
            raise ValueError(f"images must be floats as the model takes them, got {images.dtype}; convert them first")
        if flat is not None and images.dim() == 5:
            raise ValueError(f"{flat} takes images (B, C, H, W), not volumes, got {tuple(images.shape)}")
        if not bool(images.isfinite().all()):  # ReLUs would make a map of zeros of it
            image = images.isfinite().flatten(1).all(1).logical_not().nonzero()[0].item()
            raise ValueError(f"images must be finite; image {image} has NaN or infinite values")
        return images
    got = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
    raise ValueError(
        f"images must be a batch (B, C, H, W), or (B, C, D, H, W) of volumes, of at least one image, got {got}"
        f"{_as_batch(images)}"
    )


def _as_batch(images: object) -> str:
    """Says how to make a batch of what was given, as the end of a message."""
    if isinstance(images, Tensor):
        return "; images[None] is a batch of one" if images.dim() == 3 else ""
    if isinstance(images, Mapping):
        return f"; take one of its values, such as images[{next(iter(images), 'pixel_values')!r}]"
    if isinstance(images, np.ndarray):
        return "; torch.from_numpy makes a tensor of it"
    return "; make a float tensor of it by the model's own transform"


def plain(images: Tensor) -> Tensor:
    """Returns `images` detached and, if an inference tensor, copied: those cannot be used in autograd."""
    return images.detach().clone() if images.is_inference() else images.detach()


def _watch(layers: dict[str, Layer], outputs: dict[str, Tensor], hooks: ExitStack, gradients: bool) -> None:
    """Hooks the layers: each stores its output in `outputs`, and the first that runs starts the graph."""
    thread = threading.get_ident()

    def watch(name: str, output: object) -> Tensor | None:
        if threading.get_ident() != thread:  # a forward pass of the same model in another thread
            return None
        if not isinstance(output, Tensor) or not output.is_floating_point():
            got = str(output.dtype) if isinstance(output, Tensor) else type(output).__name__
            raise ValueError(f"layer {name!r} must return a feature map (B, C, h, w) or tokens of a grid, got {got}")
        if gradients and not (torch.is_grad_enabled() and output.requires_grad):
            output = output.detach().requires_grad_()
            torch.set_grad_enabled(True)  # until `undisturbed` ends
        outputs[name] = output
        return output.clone()  # later modules may modify it in place

    for name, layer in layers.items():
        hook = layer.module.register_forward_hook(lambda module, _, output, name=name: watch(name, output))
        hooks.callback(hook.remove)


def check_targets(result: Result, targets: Targets) -> None:
    """Raises ValueError for targets that the output does not have; without any, the output may be anything."""
    for target in each_target(targets):
        if target is not None:
            target_scores(result, target)


def check_logits(logits: object, batch: int, model: nn.Module) -> Tensor:
    """Returns the model output, or its `logits`, if of shape (batch, classes); raises ValueError otherwise."""
    return Result(logits, batch, type(model).__name__).logits


def _differentiate(
    result: Result, targets: Targets, outputs: dict[str, Tensor], again: bool
) -> Iterator[dict[str, Tensor]]:
    """Yields, for each target, the derivatives of its scores with respect to the outputs."""
    with torch.enable_grad():
        columns = [target_scores(result, target) for target in each_target(targets)]
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
        of_target = {}
        for name, gradient in zip(outputs, gradients, strict=True):
            if gradient is None:
                raise ValueError(
                    f"the target scores do not depend on the output of layer {name!r}, or gradients are turned off "
                    "after it"
                )
            of_target[name] = gradient
        yield of_target


def _differentiate_again(gradients: dict[str, Tensor], outputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Returns the Hessian times the output; zero if the gradient does not depend on it, as before a linear head."""
    result = {}
    for name, gradient in gradients.items():
        curvature = None
        if gradient.requires_grad:
            try:
                (curvature,) = torch.autograd.grad(
                    gradient, outputs[name], outputs[name].detach(), allow_unused=True, retain_graph=True
                )
            except RuntimeError as error:
                raise ValueError(
                    f"second derivatives, which shapley_cam needs, are not possible behind layer {name!r}: {error}; "
                    "use grad_cam"
                ) from error
        result[name] = torch.zeros_like(gradient) if curvature is None else curvature
    return result
