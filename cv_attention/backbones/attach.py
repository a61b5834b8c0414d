"""Hangs a block on its host and takes it off again, leaving the host's own modules and keys as they are.

The block becomes a child of its host, and a hook applies it to the host's output or input. No module is wrapped, so
that checkpoints, names and references to modules stay valid; one is replaced only where a block shall run instead
of it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from torch import Tensor, nn

from cv_attention.backbones.replacement import Replacement
from cv_attention.backbones.spots import Place

# What an attended input remembers for the branch: the tensor that it was. On the tensor, since any number of threads
# may run the model.
_ORIGINAL = "_cv_attention_original"


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


def attend_input(host: nn.Module, args: Any, *, child: str, fresh: bool) -> Any:
    """The hook before the forward: applies the host's child to the host's first argument."""
    return (attend(host, (), args[0], child=child, fresh=fresh), *args[1:])


def attend_shortcut(host: nn.Module, args: Any, *, child: str, fresh: bool) -> Any:
    """As `attend_input`, and leaves the original to be found by `enter_branch`."""
    before = args[0]
    attended = attend(host, (), before, child=child, fresh=fresh)
    if attended is not before:
        original = getattr(before, _ORIGINAL, None)
        setattr(attended, _ORIGINAL, before if original is None else original)
    return tuple(attended if one is before else one for one in args)  # DLA gives its units the shortcut once more


def enter_branch(module: nn.Module, args: Any, *, child: str, path: str) -> Any:
    """The hook before the modules that begin a branch: gives them what the shortcut's block was given."""
    original = getattr(args[0], _ORIGINAL, None)
    return args if original is None else (original, *args[1:])


def leave_unit(host: nn.Module, args: Any, output: Any, *, child: str) -> None:
    """The hook after a residual unit: the shortcut may live on as the unit's output, the original shall not."""
    if getattr(args[0], _ORIGINAL, None) is not None:
        setattr(args[0], _ORIGINAL, None)


# The hooks that apply a block, and those that serve them.
_APPLYING = (attend, attend_input, attend_shortcut)
_OURS = (*_APPLYING, enter_branch, leave_unit)


def attach(
    model: nn.Module, name: str, block: nn.Module, child: str, place: Place, fresh: bool, entrances: tuple[str, ...]
) -> None:
    """Makes `block` the child `child` of module `name` and applies it from the next forward on."""
    host = model.get_submodule(name)
    if place == "instead":
        assert isinstance(host, nn.Conv2d)
        replacement = Replacement(block, child, host)
        _hand_over(host, replacement)
        _put(model, name, replacement)
        return
    host.add_module(child, block)
    if place == "after":
        host.register_forward_hook(partial(attend, child=child, fresh=fresh))
    elif place == "before":
        host.register_forward_pre_hook(partial(attend_input, child=child, fresh=fresh))
    else:
        host.register_forward_pre_hook(partial(attend_shortcut, child=child, fresh=fresh))
        host.register_forward_hook(partial(leave_unit, child=child))
        for entrance in entrances:
            path = entrance.removeprefix(f"{name}.")
            host.get_submodule(path).register_forward_pre_hook(partial(enter_branch, child=child, path=path))


def detach(model: nn.Module, name: str, child: str) -> None:
    """Undoes `attach`."""
    host = model.get_submodule(name)
    if isinstance(host, Replacement) and host.child == child:
        conv = host.conv.train(host.training)
        _hand_over(host, conv)
        _put(model, name, conv)
        return
    for path, module in host.named_modules():
        for hooks in (module._forward_hooks, module._forward_pre_hooks):
            for key, hook in list(hooks.items()):
                if isinstance(hook, partial) and hook.func in _OURS:
                    words = hook.keywords
                    if words["child"] == child and words.get("path", "") == path:
                        del hooks[key]
    del host._modules[child]


def attached(model: nn.Module) -> Iterator[tuple[str, nn.Module, str, Place]]:
    """Every inserted block as (host's name, host, child's name, place); per host in the order of insertion."""
    places: dict[Any, Place] = {attend: "after", attend_input: "before", attend_shortcut: "shortcut"}
    for name, module in model.named_modules():
        if isinstance(module, Replacement):
            yield name, module, module.child, "instead"
        for hook in (*module._forward_pre_hooks.values(), *module._forward_hooks.values()):
            if isinstance(hook, partial) and hook.func in _APPLYING:
                yield name, module, hook.keywords["child"], places[hook.func]


@contextmanager
def suspended(model: nn.Module) -> Iterator[None]:
    """Runs the model without its inserted blocks while it is entered."""
    taken = []
    for module in list(model.modules()):
        for hooks in (module._forward_hooks, module._forward_pre_hooks):
            if any(isinstance(hook, partial) and hook.func in _OURS for hook in hooks.values()):
                taken.append((hooks, dict(hooks)))
    replaced = [(name, m) for name, m in model.named_modules() if isinstance(m, Replacement)]
    try:
        for hooks, all_of_them in taken:
            for key, hook in all_of_them.items():
                if isinstance(hook, partial) and hook.func in _OURS:
                    del hooks[key]
        for name, replacement in replaced:
            _put(model, name, replacement.conv)
        yield
    finally:
        for hooks, all_of_them in taken:
            hooks.clear()
            hooks.update(all_of_them)
        for name, replacement in replaced:
            _put(model, name, replacement)


def _put(model: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    model.get_submodule(parent)._modules[child] = module


def _hand_over(old: nn.Module, new: nn.Module) -> None:
    """Moves the blocks that hang on `old` to `new`, which takes its place."""
    for old_hooks, new_hooks in (
        (old._forward_hooks, new._forward_hooks),
        (old._forward_pre_hooks, new._forward_pre_hooks),
    ):
        for key, hook in list(old_hooks.items()):
            if isinstance(hook, partial) and hook.func in _OURS:
                new_hooks[key] = old_hooks.pop(key)
                if hook.func in _APPLYING:
                    child = hook.keywords["child"]
                    new._modules[child] = old._modules.pop(child)
