"""Picks the tensor that a target needs from what a model returned, and entries of single images."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

Key = str | int | None  # which entry of a dict, ModelOutput or tuple; None for the usual one


def pick(output: Any, key: Key, usual: Sequence[str], dims: tuple[int, ...], target: str) -> Tensor:
    """Returns the tensor of an output that a target needs.

    Args:
        output: What the model returned.
        key: Which entry of it; None for a tensor itself, or for the first of the `usual` names that it has.
        usual: Names of entries or attributes.
        dims: Accepted numbers of dimensions.
        target: Name of the target, for errors.

    Raises:
        ValueError: if there is no such tensor.
    """
    value = output
    if key is not None:
        try:
            value = getattr(output, key) if isinstance(key, str) and hasattr(output, key) else output[key]
        except (KeyError, IndexError, TypeError):
            raise ValueError(f"{target}: the output has no entry {key!r}, {_entries(output)}") from None
    elif not isinstance(output, Tensor):
        found = [entry for name in usual if (entry := _entry(output, name)) is not None]
        value = found[0] if found else None
    if isinstance(value, Tensor) and value.dim() in dims:
        return value
    got = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(output).__name__}"
    wanted = " or ".join(map(str, dims))
    raise ValueError(f"{target}: needs a tensor of {wanted} dimensions, got {got}, {_entries(output)}; give key=")


def _entry(output: Any, name: str) -> Any:
    return output.get(name) if isinstance(output, Mapping) else getattr(output, name, None)


def _entries(output: Any) -> str:
    if isinstance(output, Mapping):
        return f"which has {', '.join(map(str, output))}"
    return f"of length {len(output)}" if isinstance(output, list | tuple) else "without entries"


def cut(value: Any, part: slice, batch: int, single: int) -> Any:
    """Returns the entries of the images in `part`; a value for all images, of `single` dimensions, is kept."""
    if not isinstance(value, Tensor) or value.dim() <= single:
        return value
    if len(value) != batch:
        raise ValueError(f"the target has entries for {len(value)} images, but there are {batch}")
    return value[part]


def as_indices(index: int | Sequence[int] | Tensor, name: str) -> Any:
    """Returns an int, or a tensor of integers (B,); ValueError for others."""
    if isinstance(index, int) and not isinstance(index, bool):
        return index
    values = torch.as_tensor(index)
    if values.dim() > 1 or values.is_floating_point() or values.dtype == torch.bool:
        raise ValueError(f"{name} must be an integer, or one for each image, got {index!r}")
    return values
