"""Passes, copies and describes the inputs of one forward, in any structure."""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from cv_attention.backbones.tracing.tensors import named_tensors

_SHOWN = 6  # tensors that a description lists


class Inputs:
    """Example inputs of a model, kept as they are: each forward gets a copy.

    Args:
        example: A tensor, or any object but a tuple or a mapping, is the one positional argument. A tuple holds the
            positional arguments. A mapping with strings as keys holds the keyword arguments. A tuple of a tuple and a
            mapping holds both. A named tuple is an object, not a tuple.
        called: What messages call it.

    Raises:
        ValueError: if there is no tensor in it, or a mapping has keys that are not names of arguments.
    """

    def __init__(self, example: Any, called: str = "example_inputs") -> None:
        self.example, self.called = example, called
        self.named = named_tensors(example, called)
        if not self.named:
            size = "; the size of an image is given by input_size" if called == "example_inputs" else ""
            raise ValueError(f"{called} must hold a tensor, got {_brief(example)}{size}")
        keywords = _split(example)[1]
        if not all(isinstance(key, str) for key in keywords):
            raise ValueError(
                f"{called} is a mapping and holds keyword arguments, so its keys must be strings, got "
                f"{list(keywords)!r}; a mapping that is one argument is given as (mapping,)"
            )

    @property
    def tensors(self) -> list[Tensor]:
        """All tensors, in order."""
        return [tensor for _, tensor in self.named]

    def arguments(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Copies the inputs and returns the positional and the keyword arguments.

        Raises:
            ValueError: if an object in them cannot be copied.
        """
        # Tensors are copied here, since deepcopy refuses those that a graph leads to.
        copies: dict[int, Any] = {id(tensor): _copy(tensor) for tensor in self.tensors}
        try:
            example = copy.deepcopy(self.example, copies)
        except Exception as error:
            raise ValueError(
                f"{self.called} cannot be copied ({error}), and a forward may change what it is given"
            ) from error
        return _split(example)

    def described(self) -> str:
        """Names every tensor's place, shape and type, as in ``[0] 1×3×32×32 float32, [1] 1×8 float32``."""
        listed = []
        for name, tensor in self.named[:_SHOWN]:
            kind = str(tensor.dtype).removeprefix("torch.")
            listed.append(f"{name.removeprefix(self.called)} {shape_text(tuple(tensor.shape))} {kind}".strip())
        more = len(self.named) - _SHOWN
        return ", ".join(listed) + (f" and {more} more" if more > 0 else "")

    def mismatch(self, model: nn.Module) -> str:
        """Says which tensor lies on another device, or has another floating type, than all of the model's weights."""
        weights = [*model.parameters(), *model.buffers()]
        devices = sorted({str(w.device) for w in weights})
        types = sorted({str(w.dtype) for w in weights if w.is_floating_point()})
        kind = type(model).__name__
        for name, tensor in self.named:
            if devices and str(tensor.device) not in devices:
                return f"{name} is on {tensor.device}, and {kind} on {' and '.join(devices)}"
            if types and _has_values(tensor) and str(tensor.dtype) not in types:
                return f"{name} is {tensor.dtype}, and {kind} {' and '.join(types)}"
        return ""


def shape_text(shape: tuple[int, ...]) -> str:
    """Returns a shape as ``1×3×224×224``; that of a single number is called so."""
    return "×".join(map(str, shape)) or "one number"


def _split(example: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if isinstance(example, Mapping):
        return (), dict(example)
    if not isinstance(example, tuple) or hasattr(example, "_fields"):
        return (example,), {}
    if len(example) == 2 and _is_tuple(example[0]) and isinstance(example[1], Mapping):
        return example[0], dict(example[1])
    return example, {}


def _is_tuple(value: Any) -> bool:
    return isinstance(value, tuple) and not hasattr(value, "_fields")


def _has_values(tensor: Tensor) -> bool:
    """Returns whether it holds an image or the like rather than indices or a mask."""
    return tensor.is_floating_point() or tensor.dtype == torch.uint8


def _copy(tensor: Tensor) -> Tensor:
    with torch.no_grad():
        return tensor.detach().clone().requires_grad_(tensor.requires_grad)


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"a {type(value).__name__}"
