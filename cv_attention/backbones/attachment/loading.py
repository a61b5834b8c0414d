"""Loads checkpoints saved before an insertion, and reports blocks whose options differ."""

import re
import sys
from collections.abc import Iterator
from typing import Any

from torch import nn

from cv_attention.backbones.attachment.hooks import applied
from cv_attention.backbones.attachment.lost import report_lost
from cv_attention.backbones.attachment.replacement import Replacement

_CHILD = re.compile(r"attention(_\d+)?(_and_\d+)?")  # what blocks are called below their hosts


def forgive_vanilla(model: nn.Module, state_dict: dict[str, Any], prefix: str, *_: Any) -> None:
    """The hook before loading: a checkpoint from before an insertion loads strictly, its blocks left alone.

    Where a checkpoint holds no key of an insertion's blocks, their present values are filled in; where it
    holds some, the others are missing as usual. Weights of a convolution that a block replaced go to that convolution,
    which `remove` brings back.

    Raises:
        RuntimeError: if the loading is strict and the checkpoint's blocks are not those of the model.
    """
    load = _load_call()
    if load and _is_below_watched(load["self"], model):
        return  # the hook of the module above has seen to it
    report_lost(model, stacklevel=7)
    strict, assign = (load["strict"], load["assign"]) if load else (False, False)
    insertions: dict[str, dict[str, Any]] = {}
    for name, host, child in _blocks(model):
        top = f"{prefix}{name}." if name else prefix
        present = host.get_submodule(child).state_dict(prefix=f"{top}{child}.", keep_vars=True)
        insertions.setdefault(child, {}).update(present)
        if isinstance(host, Replacement) and host.child == child:
            own = host.conv.state_dict()
            kept = {key: state_dict.pop(f"{top}{key}") for key in own if f"{top}{key}" in state_dict}
            if kept:
                host.load_conv(kept, strict=strict, assign=assign)
    if strict:
        _compare(model, state_dict, prefix, insertions)
    for present in insertions.values():
        without_values = assign and any(value.is_meta for value in present.values())  # these stay missing
        if not without_values and not any(key in state_dict for key in present):
            state_dict.update(present)


def _blocks(model: nn.Module) -> Iterator[tuple[str, nn.Module, str]]:
    """Yields every inserted block as (host's name, host, child's name), under each name that its host has."""
    for name, module in model.named_modules(remove_duplicate=False):
        for attachment in applied(module):
            yield name, module, attachment.child


def _load_call() -> dict[str, Any] | None:
    """The arguments of the `load_state_dict` that runs, which torch passes to no hook; None where another loads."""
    frame = sys._getframe()
    while frame is not None and frame.f_code is not nn.Module.load_state_dict.__code__:
        frame = frame.f_back
    return None if frame is None else frame.f_locals


def _is_below_watched(top: nn.Module, model: nn.Module) -> bool:
    """Returns whether `model` is part of another watched module in `top`."""
    above = (module for module in top.modules() if module is not model and _loading_hooks(module))
    return any(model is module for other in above for module in other.modules())


def _compare(model: nn.Module, state_dict: dict[str, Any], prefix: str, insertions: dict[str, dict[str, Any]]) -> None:
    """Raises RuntimeError where blocks of the checkpoint and of the model have other weights."""
    own = model.state_dict(prefix=prefix, keep_vars=True)
    hosts = {f"{name}." if name else "": module for name, module in model.named_modules(remove_duplicate=False)}
    inserted = {f"{name}.{child}" if name else child for name, _, child in _blocks(model)}

    def of_block(key: str) -> bool:
        parts = key.split(".")
        called = [(".".join([*parts[:i], ""]), part) for i, part in enumerate(parts) if _CHILD.fullmatch(part)]
        return any(top in hosts and (f"{top}{c}" in inserted or not hasattr(hosts[top], c)) for top, c in called)

    theirs = [key for key in state_dict if key.startswith(prefix) and key not in own]
    theirs = [key for key in theirs if of_block(key.removeprefix(prefix))]
    ours: list[str] = []
    for child, present in insertions.items():
        inside = f".{child}."
        if any(key in state_dict for key in present) or any(inside in f".{key}" for key in theirs):
            ours += [key for key in present if key not in state_dict]
    if theirs or ours:
        raise RuntimeError(
            f"the attention blocks of the checkpoint and of this {type(model).__name__} differ: "
            f"{_keys('Unexpected key(s), in the checkpoint only', theirs)}; "
            f"{_keys('Missing key(s), in the model only', ours)}. Insert before loading what the checkpoint was saved "
            "with: the same blocks, options, positions and init (init='identity' may add weights to a block)"
        )


def _keys(what: str, keys: list[str]) -> str:
    if not keys:
        return f"{what}: none"
    return f"{what}: {', '.join(keys[:3])}" + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")


def watch_loading(model: nn.Module) -> None:
    """Registers `forgive_vanilla`, once, on every module with blocks on or below it.

    So a checkpoint of an encoder, say, loads into the encoder of an attended model.
    """
    for module in model.modules():
        if _has_blocks(module) and not _loading_hooks(module):
            module.register_load_state_dict_pre_hook(forgive_vanilla)


def unwatch_loading(model: nn.Module) -> None:
    """Undoes `watch_loading` where no block is left."""
    for module in model.modules():
        for key in [] if _has_blocks(module) else _loading_hooks(module):
            del module._load_state_dict_pre_hooks[key]


def _has_blocks(module: nn.Module) -> bool:
    return any(True for below in module.modules() for _ in applied(below))


def _loading_hooks(module: nn.Module) -> list[int]:
    hooks = module._load_state_dict_pre_hooks.items()
    return [key for key, hook in hooks if getattr(hook, "hook", hook) is forgive_vanilla]
