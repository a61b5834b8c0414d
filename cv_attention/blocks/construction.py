"""Creates blocks from names, options, class paths and classes."""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from torch import nn

from cv_attention.blocks.base import Device, Dtype
from cv_attention.blocks.catalogue import find
from cv_attention.blocks.importing import import_object
from cv_attention.suggest import suggest

_PLACEMENT = {"device", "dtype"}  # arguments of blocks that configurations do not choose

# What `resolve` takes: what config.BlockSpec says, or any class or function of the channels.
Spec = str | Mapping[str, Any] | Callable[[int], nn.Module]


def create(name: str, channels: int, *, device: Device = None, dtype: Dtype = None, **options: Any) -> nn.Module:
    """Creates the block called `name`.

    Args:
        name: Name in `CATALOGUE`.
        channels: Channels C of the feature map.
        device: Device of parameters and buffers; None takes torch's default. On ``"meta"`` they have no values: after
            ``block.to_empty(device=...)``, load a checkpoint.
        dtype: Floating type of parameters and buffers; None takes torch's default.
        **options: The block's own options, named as in its paper; ``help(CATALOGUE[name].cls)`` describes them.

    Returns:
        A module from (B, C, H, W) to (B, C, H, W).

    Raises:
        ValueError: if the block or one of its options is unknown, or a value is out of range.

    Examples:
        >>> import torch
        >>> from cv_attention import blocks
        >>> block = blocks.create("cbam", 64, reduction=8)
        >>> block(torch.randn(2, 64, 14, 14)).shape
        torch.Size([2, 64, 14, 14])
        >>> blocks.create("cbam", 64, redction=8)
        Traceback (most recent call last):
            ...
        ValueError: block 'cbam' has no option 'redction'; did you mean 'reduction'? ...
    """
    entry = find(name)
    _check_options(entry.cls, options, f"block {name!r}")
    return entry.cls(channels, device=device, dtype=dtype, **options)


def resolve(spec: Spec) -> Callable[[int], nn.Module]:
    """Returns a function from channels to a new block.

    Args:
        spec: A name (``"cbam"``), a name with options (``{"name": "cbam", "reduction": 8}``), an importable
            class (``"my_block.MyBlock"`` or ``{"class_path": "my_block.MyBlock", "init_args": {...}}``,
            looked up in the current directory too), a class, or any function from channels to a module.

    Returns:
        A function from the number of channels to a new module.

    Raises:
        ValueError: if the name, the class or an option does not exist. Values are checked when a block is
            built.

    Examples:
        >>> from cv_attention import blocks
        >>> make = blocks.resolve({"name": "se", "reduction": 8})
        >>> make(64).reduce
        Linear(in_features=64, out_features=8, bias=True)
        >>> blocks.resolve("torch.nn.BatchNorm2d")(64).num_features  # any class whose first argument is the channels
        64
    """
    if isinstance(spec, str):
        return _from_class_path(spec, {}) if "." in spec else partial(create, find(spec).name)
    if isinstance(spec, Mapping):
        return _from_mapping(dict(spec))
    if isinstance(spec, nn.Module):
        raise ValueError(f"every site needs a new block: give the class {type(spec).__name__}, not an instance")
    if callable(spec):
        return spec
    forms = "a name, {name: ..., <options>}, {class_path: ..., init_args: ...} or a class"
    raise ValueError(f"a block is {forms}, got {spec!r}")


def _from_mapping(spec: dict[str, Any]) -> Callable[[int], nn.Module]:
    if "class_path" in spec:
        extra = sorted(set(spec) - {"class_path", "init_args"})
        if extra:
            raise ValueError(f"block has the key {extra[0]!r}; only init_args is allowed next to class_path")
        options = spec.get("init_args") or {}
        if not isinstance(options, Mapping):
            raise ValueError(f"block's init_args must be a mapping of options, got {options!r}")
        return _from_class_path(spec["class_path"], dict(options))
    if not isinstance(spec.get("name"), str):
        raise ValueError(f"block needs the key name or class_path, got {spec!r}")
    name = spec.pop("name")
    _check_options(find(name).cls, spec, f"block {name!r}")
    return partial(create, name, **spec)


def _from_class_path(path: object, options: dict[str, Any]) -> Callable[[int], nn.Module]:
    block = import_object(path, "block's class_path", "block", _is_block, "my_block.MyBlock")
    _check_options(block, options, f"block {path!r}")
    return partial(block, **options)


def _is_block(value: object) -> bool:
    return inspect.isclass(value) and issubclass(value, nn.Module)


def _check_options(block: Callable[..., nn.Module], options: Mapping[str, Any], place: str) -> None:
    """Raises ValueError unless `block(channels, **options)` fits the block's signature."""
    parameters = list(inspect.signature(block).parameters.values())
    if not parameters:
        raise ValueError(f"{place} takes no arguments; its first one must be the number of channels")
    for option in sorted(_PLACEMENT & options.keys()):
        raise ValueError(
            f"{place}: {option} is not an option; a block takes the {option} of the module it is inserted at"
        )
    rest = [p for p in parameters[1:] if p.name not in _PLACEMENT]
    known = [p.name for p in rest if p.kind is not p.VAR_KEYWORD]
    if len(known) == len(rest):  # no **kwargs, so nothing else can be meant
        for option in options:
            if option not in known:
                listing = ", ".join(known) or "none"
                hint = suggest(option, known, shown=0) or "."
                raise ValueError(f"{place} has no option {option!r}{hint} Options: {listing}")
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    needed = [p.name for p in rest if p.default is p.empty and p.kind not in variadic]
    missing = [name for name in needed if name not in options]
    if missing:
        raise ValueError(f"{place} needs the option {missing[0]!r}, which has no default")
