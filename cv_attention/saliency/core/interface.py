"""Implements what all methods share: splitting batches that exceed memory, and several targets."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor, nn

from cv_attention.checks import check_module
from cv_attention.saliency.core.engine import check_images
from cv_attention.saliency.core.forward import further, only
from cv_attention.saliency.core.outputs.explanation import noted, remember
from cv_attention.saliency.core.targets import each_target, of_images

P = ParamSpec("P")
R = TypeVar("R")

_PER_IMAGE = {"images", "baseline", "segments"}
_FURTHER: dict[str, Any] = {"forward_args": (), "forward_kwargs": None}


def explains(method: Callable[P, Tensor]) -> Callable[P, Tensor]:
    """Completes a method ``(model, images, targets, *, ..., batch_size)``.

    Batches of more than `batch_size` images are explained in parts, each with its own targets; options with one entry
    per image are split in the same way. A method without targets returns the same map for each. Arguments
    `forward_args` and `forward_kwargs` reach the model wherever the method calls `forward.run`.

    Args:
        method: From images (B, C, H, W) and T targets to (B, T, H, W), or (B, 1, H, W) if it ignores targets.
    """
    signature = inspect.signature(method)
    complete: Callable[..., Tensor] = method
    free = signature.parameters["model"].annotation is not nn.Module  # of the model: bottom-up methods, baselines

    @wraps(method)
    def explained(*args: P.args, **kwargs: P.kwargs) -> Tensor:
        try:
            call = signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{method.__name__}: {error}; it takes {', '.join(signature.parameters)}") from None
        if not free:
            check_module(call.arguments["model"])
        call.apply_defaults()
        images, targets, most = (call.arguments[name] for name in ("images", "targets", "batch_size"))
        if most is not None and (isinstance(most, bool) or not isinstance(most, int) or most < 1):
            raise ValueError(f"batch_size must be a whole number of images, at least 1, got {most!r}")
        batch = len(images) if isinstance(images, Tensor) and images.dim() in (4, 5) else 0
        given = [call.arguments.pop(name, default) for name, default in _FURTHER.items()]
        with noted() as noted_here, further(given[0], given[1], batch):
            if most is None or batch <= most:
                heat = complete(**call.arguments)
            else:
                check_images(images)  # all of them, so that errors count from the first
                cuts = [slice(start, start + most) for start in range(0, batch, most)]
                heat = torch.cat([_explain_part(method, call.arguments, cut, batch) for cut in cuts])
        wanted = len(each_target(targets))
        heat = heat if heat.shape[1] == wanted else heat.repeat(1, wanted, *[1] * (heat.dim() - 2))
        remember(heat, method.__name__, targets, noted_here)
        return heat

    return explained


def _explain_part(method: Callable[..., Tensor], arguments: dict[str, Any], cut: slice, batch: int) -> Tensor:
    part = dict(arguments, targets=of_images(arguments["targets"], cut, batch))
    for name in _PER_IMAGE & part.keys():
        if isinstance(part[name], Tensor) and part[name].dim() > 3 and len(part[name]) == batch:
            part[name] = part[name][cut]
    with only(cut):
        return method(**part)


def measures(measure: Callable[P, R]) -> Callable[P, R]:
    """Completes a measure ``(model, images, heat, ..., forward_args, forward_kwargs)``.

    The arguments `forward_args` and `forward_kwargs` reach the model; what was followed is remembered with the values.
    """
    signature = inspect.signature(measure)
    complete: Callable[..., R] = measure

    @wraps(measure)
    def measured(*args: P.args, **kwargs: P.kwargs) -> R:
        call = signature.bind(*args, **kwargs)
        call.apply_defaults()
        images = call.arguments["images"]
        given = [call.arguments.pop(name, default) for name, default in _FURTHER.items()]
        with noted() as notes, further(given[0], given[1], len(images)):
            found = complete(**call.arguments)
        for values in [found] if isinstance(found, Tensor) else list(found):  # pyright: ignore[reportArgumentType]
            if isinstance(values, Tensor):
                remember(values, measure.__name__, call.arguments["targets"], notes)
        return found

    return measured
