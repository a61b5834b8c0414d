"""Loads checkpoints from before an insertion into an attended model."""

from typing import Any

from torch import nn

from cv_attention.backbones.attach import attached
from cv_attention.backbones.replacement import Replacement


def forgive_vanilla(model: nn.Module, state_dict: dict[str, Any], prefix: str, *_: Any) -> None:
    """The hook before loading: a checkpoint from before an insertion loads strictly, its blocks left alone.

    Where a checkpoint holds no key of an insertion's blocks, their present values are filled in; where it
    holds some, the others are missing as usual. Weights of a convolution that a block replaced go to that convolution,
    which `remove` brings back.
    """
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
    for present in insertions.values():
        if not any(key in state_dict for key in present):
            state_dict.update(present)


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
