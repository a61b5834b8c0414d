"""Finds the tensors in a module's arguments or output, in any structure."""

from collections.abc import Iterator, Mapping, Set
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import SUPPORTED_NODES

# A feature map's device and floating type.
Kind = tuple[torch.device, torch.dtype]

_PLAIN = (str, bytes, int, float, complex, nn.Module, type(None), type)


def tensors_in(value: Any) -> list[Tensor]:
    """Returns every tensor in `value`, in order; one that stands there twice is returned twice."""
    return [tensor for _, tensor in named_tensors(value)]


def named_tensors(value: Any, name: str = "") -> list[tuple[str, Tensor]]:
    """Returns the tensors in `value`, each with the expression that reaches it.

    Looked into are mappings (also Hugging Face's `BatchFeature`), lists, tuples, sets, data classes, types that are
    registered as pytrees, and the attributes of any other object.

    Args:
        value: Any value.
        name: What the value itself is called.
    """
    return list(_walk(value, name, {}))


def kind_of(value: Any) -> Kind | None:
    """Returns a tensor's device and floating type; None for anything else, and under autocast, which casts it."""
    if not isinstance(value, Tensor) or not value.is_floating_point():
        return None
    device = value.device.type
    casts = torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)
    return None if casts else (value.device, value.dtype)


def unlike_an_image(tensor: Tensor) -> tuple[bool, bool]:
    """Sorts images (B, C, H, W) first, and those of values before those of indices or masks."""
    return tensor.dim() != 4, not (tensor.is_floating_point() or tensor.dtype == torch.uint8)


def _walk(value: Any, name: str, passed: dict[int, Any]) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield name, value
    elif not isinstance(value, _PLAIN) and id(value) not in passed:
        passed[id(value)] = value  # held, so that no other object gets its id
        for path, child in _children(value):
            yield from _walk(child, name + path, passed)


def _children(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        return ((f"[{key!r}]", child) for key, child in value.items())
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return ((f".{field}", getattr(value, field)) for field in value._fields)  # pyright: ignore[reportAttributeAccessIssue]
    if isinstance(value, list | tuple | Set):
        return ((f"[{i}]", child) for i, child in enumerate(value))
    if is_dataclass(value):
        return ((f".{field.name}", getattr(value, field.name, None)) for field in fields(value))
    node = SUPPORTED_NODES.get(type(value))
    if node is not None:
        return ((f"[{i}]", child) for i, child in enumerate(node.flatten_fn(value)[0]))
    return ((f".{key}", child) for key, child in getattr(value, "__dict__", {}).items() if not callable(child))
