"""Loads checkpoints from before an insertion into an attended model, and names what differs between blocks."""

import re
import sys
from typing import Any

from torch import nn

from cv_attention.backbones.attach import attached
from cv_attention.backbones.lost import report_lost
from cv_attention.backbones.replacement import Replacement

_CHILD = re.compile(r"attention(_\d+)?(_and_\d+)?")  # what blocks are called below their hosts


def forgive_vanilla(model: nn.Module, state_dict: dict[str, Any], prefix: str, *_: Any) -> None:
    """The hook before loading: a checkpoint from before an insertion loads strictly, its blocks left alone.

    Where a checkpoint holds no key of an insertion's blocks, their present values are filled in; where it
    holds some, the others are missing as usual. Weights of a convolution that a block replaced go to that convolution,
    which `remove` brings back.

    Raises:
        RuntimeError: if the loading is strict and the checkpoint's blocks are not those of the model.
    """
    report_lost(model, stacklevel=7)
    insertions: dict[str, dict[str, Any]] = {}
    for name, host, child, _place in attached(model):
        top = f"{prefix}{name}." if name else prefix
        present = host.get_submodule(child).state_dict(prefix=f"{top}{child}.", keep_vars=True)
        insertions.setdefault(child, {}).update(present)
        if isinstance(host, Replacement) and host.child == child:
            conv = host.conv
            kept = {key: state_dict.pop(f"{top}{key}") for key in conv.state_dict() if f"{top}{key}" in state_dict}
            if kept:
                conv.load_state_dict(kept)
    if _is_strict():
        _compare(model, state_dict, prefix, insertions)
    for present in insertions.values():
        if not any(key in state_dict for key in present):
            state_dict.update(present)


def _is_strict() -> bool:
    """Whether `load_state_dict` runs with ``strict=True``, which torch tells no hook."""
    frame = sys._getframe()
    while frame is not None and frame.f_code is not nn.Module.load_state_dict.__code__:
        frame = frame.f_back
    return frame is not None and bool(frame.f_locals["strict"])


def _compare(model: nn.Module, state_dict: dict[str, Any], prefix: str, insertions: dict[str, dict[str, Any]]) -> None:
    """Raises RuntimeError where blocks of the checkpoint and of the model have other weights."""
    own = model.state_dict(prefix=prefix, keep_vars=True)
    hosts = {f"{name}." if name else "": module for name, module in model.named_modules()}
    inserted = {f"{name}.{child}" if name else child for name, _, child, _ in attached(model)}

    def of_block(key: str) -> bool:
        parts = key.split(".")
        places = [(".".join([*parts[:i], ""]), part) for i, part in enumerate(parts) if _CHILD.fullmatch(part)]
        return any(top in hosts and (f"{top}{c}" in inserted or not hasattr(hosts[top], c)) for top, c in places)

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
    """Registers `forgive_vanilla` on the model, once."""
    if not _loading_hooks(model):
        model.register_load_state_dict_pre_hook(forgive_vanilla)


def unwatch_loading(model: nn.Module) -> None:
    """Undoes `watch_loading`."""
    for key in _loading_hooks(model):
        del model._load_state_dict_pre_hooks[key]


def _loading_hooks(model: nn.Module) -> list[int]:
    hooks = model._load_state_dict_pre_hooks.items()
    return [key for key, hook in hooks if getattr(hook, "hook", hook) is forgive_vanilla]
