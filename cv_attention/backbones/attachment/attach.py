"""Attaches a block to a module without renaming any parameter, and detaches it.

The block becomes a child of its host, and a hook applies it to the host's output or input. No module is wrapped, so
that checkpoints, names and references to modules stay valid; one is replaced only where a block shall run instead
of it. Where the host itself is replaced later, its blocks go to the module that takes its place (`succession`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from uuid import uuid4

from torch import nn

from cv_attention.backbones.attachment.hooks import (
    Attachment,
    applied,
    apply_to_input,
    apply_to_output,
    apply_to_shortcut,
    attachment_of,
    carried,
    check_aspect,
    enter_branch,
    hooks_of,
    leave_residual_block,
)
from cv_attention.backbones.attachment.host_class import set_apart
from cv_attention.backbones.attachment.lost import mark, unmark
from cv_attention.backbones.attachment.on_patches import OnPatches
from cv_attention.backbones.attachment.place import Place
from cv_attention.backbones.attachment.replacement import Replacement
from cv_attention.backbones.attachment.succession import hand_over, put, release


def attach(
    model: nn.Module,
    name: str,
    block: nn.Module,
    child: str,
    place: Place,
    fresh: bool,
    entrances: tuple[str, ...],
    source: str = "",
) -> Attachment:
    """Makes `block` the child `child` of module `name` and applies it from the next forward on.

    `source` is the module that returns the feature map whose positions are the block's patches.
    """
    host = model.get_submodule(name)
    attachment = Attachment(uuid4().hex, f"{name}.{child}".lstrip("."), child, place, fresh, len(entrances))
    mark(block, child)
    if place == "instead":
        assert isinstance(host, nn.Conv2d)
        _exchange(model, host, Replacement(block, child, host, attachment))
        return attachment
    host.add_module(child, block)
    if place == "after":
        host.register_forward_hook(partial(apply_to_output, attachment=attachment))
    elif place == "before":
        host.register_forward_pre_hook(partial(apply_to_input, attachment=attachment))
    else:
        host.register_forward_pre_hook(partial(apply_to_shortcut, attachment=attachment))
        host.register_forward_hook(partial(leave_residual_block, attachment=attachment))
        for entrance in entrances:
            module = host.get_submodule(entrance.removeprefix(f"{name}."))
            module.register_forward_pre_hook(partial(enter_branch, attachment=attachment))
            set_apart(module)
    set_apart(host)
    if source and isinstance(block, OnPatches):
        attachment.grid = block.grid
        model.get_submodule(source).register_forward_hook(partial(check_aspect, attachment=attachment))
    return attachment


def detach(model: nn.Module, name: str, child: str) -> None:
    """Undoes `attach`; the block may have lost its hooks meanwhile."""
    host = model.get_submodule(name)
    attachment = next((at for at in applied(host) if at.child == child), None)
    if attachment is None:
        block = dict.pop(host._modules, child)
        unmark(block, child)
        return
    attachment.removed = True
    if isinstance(host, Replacement) and host.attachment is attachment:
        unmark(host.get_submodule(child), child)
        host.attachment = None
        _exchange(model, host, host.conv.train(host.training))
        return
    for module in list(model.modules()):
        if any(at.key == attachment.key for at in carried(module)):
            release(module, attachment)


def attached(model: nn.Module) -> Iterator[tuple[str, nn.Module, str, Place]]:
    """Yields every inserted block as (host's name, host, child's name, place); per host in the order of insertion."""
    for name, module in model.named_modules():
        for attachment in applied(module):
            yield name, module, attachment.child, attachment.place


@contextmanager
def suspended(model: nn.Module) -> Iterator[None]:
    """Runs the model without its inserted blocks while it is entered."""
    taken = []
    for module in list(model.modules()):
        for hooks in hooks_of(module):
            if any(attachment_of(hook) for hook in list(hooks.values())):
                taken.append((hooks, dict(hooks)))
    replaced = [(m, m.conv) for m in model.modules() if isinstance(m, Replacement)]
    try:
        for hooks, all_of_them in taken:
            for key, hook in all_of_them.items():
                if attachment_of(hook):
                    del hooks[key]
        for replacement, conv in replaced:
            put(model, replacement, conv)
        yield
    finally:
        for hooks, all_of_them in taken:
            hooks.clear()
            hooks.update(all_of_them)
        for replacement, conv in replaced:
            put(model, conv, replacement)


def _exchange(model: nn.Module, old: nn.Module, new: nn.Module) -> None:
    """Puts `new` in the place of `old`, and moves the blocks attached to `old` to it."""
    moving = [at for at in carried(old) if at.place != "instead"]
    hand_over(old, new)
    for attachment in moving:
        block = old._modules.get(attachment.child)
        release(old, attachment)
        if block is not None:
            mark(block, attachment.child)
    put(model, old, new)
