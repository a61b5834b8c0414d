"""Hangs a block on its host and takes it off again, leaving the host's own modules and keys as they are.

The block becomes a child of its host, and a forward hook applies it to the host's output. No module is
wrapped or replaced, so that checkpoints, names and references to modules stay valid.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

from torch import Tensor, nn


def attend(host: nn.Module, args: Any, output: Tensor, *, child: str, fresh: bool) -> Tensor:
    """The forward hook: applies the host's child to the host's output.

    Args:
        host: The module hooked.
        args: Its input, not used.
        output: Its output (B, C, H, W).
        child: Name of the block among the host's children.
        fresh: Copy the block's output: an in-place operation may follow, which the block's gradient forbids.
    """
    attended = getattr(host, child)(output)
    return attended.clone() if fresh else attended


def attach(host: nn.Module, block: nn.Module, child: str, fresh: bool) -> None:
    """Makes `block` the child `child` of `host` and applies it from the next forward on."""
    host.add_module(child, block)
    host.register_forward_hook(partial(attend, child=child, fresh=fresh))


def detach(host: nn.Module, child: str) -> None:
    """Undoes `attach`."""
    for key, hook in list(host._forward_hooks.items()):
        if isinstance(hook, partial) and hook.func is attend and hook.keywords["child"] == child:
            del host._forward_hooks[key]
    del host._modules[child]


def attached(model: nn.Module) -> Iterator[tuple[str, nn.Module, str]]:
    """Every inserted block as (host's name, host, child's name); per host in the order of insertion."""
    for name, module in model.named_modules():
        for hook in module._forward_hooks.values():
            if isinstance(hook, partial) and hook.func is attend:
                yield name, module, hook.keywords["child"]


def forgive_vanilla(model: nn.Module, state_dict: dict[str, Any], prefix: str, *_: Any) -> None:
    """The hook before loading: a checkpoint from before an insertion loads strictly, its blocks left alone.

    Where a checkpoint holds no key of an insertion's blocks, their present values are filled in; where it
    holds some, the others are missing as usual.
    """
    insertions: dict[str, dict[str, Any]] = {}
    for name, host, child in attached(model):
        path = f"{prefix}{name}.{child}." if name else f"{prefix}{child}."
        block = host.get_submodule(child)
        insertions.setdefault(child, {}).update(block.state_dict(prefix=path, keep_vars=True))
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
