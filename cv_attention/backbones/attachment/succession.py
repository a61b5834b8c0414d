"""Moves blocks to the modules that replace their hosts.

A conversion (SyncBatchNorm, frozen or folded batch norms) puts another module under a host's name and knows nothing of
hooks. Every module above a host therefore has its children in a dict that hands the blocks over, and that reports at
once the blocks that leave the model. Hosts in modules made later, such as a cut-out in a new Sequential or a graph of
torch.fx, are seen to by torch's hook on the registration of modules.
"""

import copy
import warnings
from collections import OrderedDict
from functools import cache, partial
from typing import Any

import torch
from torch import nn

from cv_attention.backbones.attachment.hooks import (
    Attachment,
    applied,
    apply_to_output,
    attachment_of,
    carried,
    check_aspect,
    enter_branch,
    entrances,
    hooks_of,
)
from cv_attention.backbones.attachment.host_class import put_back, set_apart
from cv_attention.backbones.attachment.lost import LostBlocksWarning, mark, unmark
from cv_attention.backbones.attachment.replacement import Replacement


class Children(dict[str, Any]):
    """The children of a module below which blocks hang.

    The compiler takes it for a dict as long as it is made like one, without ``__new__`` or ``__init__`` of its own.
    """

    __slots__ = ()

    def __setitem__(self, name: str, module: nn.Module | None) -> None:
        old, served = self.get(name), any(module is other for other in self.values())
        if old is not None and not served:
            module = _own(self, name, old, module)
        super().__setitem__(name, module)
        if old is not None and old is not module:
            _succeed(self, name, old, None if served else module)

    def __delitem__(self, name: str) -> None:
        old = self.get(name)
        super().__delitem__(name)
        if old is not None:
            _succeed(self, name, old, None)

    def __reduce__(self) -> Any:
        return _no_children, (), None, None, iter(self.items())

    def update(self, *others: Any, **named: Any) -> None:
        """Sets each item by itself, which dict's own does not."""
        for name, module in dict(*others, **named).items():
            self[name] = module

    def __ior__(self, other: Any) -> Any:
        self.update(other)
        return self

    def pop(self, name: str, *default: Any) -> Any:
        """Deletes an item as ``del`` does."""
        if name not in self:
            return super().pop(name, *default)
        module = self[name]
        del self[name]
        return module

    def popitem(self) -> tuple[str, Any]:
        """Deletes the last item as ``del`` does."""
        name = next(reversed(self), "")
        return name, self.pop(name)

    def clear(self) -> None:
        """Deletes every item as ``del`` does."""
        for name in list(self):
            del self[name]


def _own(children: dict[str, Any], name: str, old: nn.Module, new: nn.Module | None) -> nn.Module | None:
    """Returns a copy of `new` where it takes over blocks and has no weights, such as one Identity for many norms.

    The blocks of one place would run at all of them.
    """
    if new is None or new is old or carried(new) or not carried(old):
        return new
    stays = any(old is other for key, other in children.items() if key != name)  # moved, so it keeps its blocks
    if stays or new._modules or new._parameters or new._buffers:
        return new
    own = copy.copy(new)
    vars(own).update(
        {key: vars(new)[key].copy() for key, value in vars(nn.Module()).items() if isinstance(value, dict)}
    )
    return own


def _no_children() -> Children:
    """Makes the dict that a copy or a pickle fills."""
    _watch_registrations()
    return Children()


@cache
def _watch_registrations() -> None:
    nn.modules.module.register_module_module_registration_hook(_registered)  # pyright: ignore[reportArgumentType]


def _registered(parent: nn.Module, name: str, module: nn.Module | None) -> nn.Module | None:
    """The hook on every module that becomes a child: does what `Children` does where a parent has a plain dict.

    Returns:
        What becomes the child.
    """
    children: Any = vars(parent).get("_modules")
    if type(children) not in (dict, OrderedDict) or (old := children.get(name)) in (None, module):
        return module
    if any(carried(below) for below in old.modules()):
        served = any(module is other for other in children.values())
        if not served:
            module = _own(children, name, old, module)
        _succeed({**children, name: module}, name, old, None if served else module)
    return module


def guard(module: nn.Module) -> bool:
    """Watches the children of every module below which blocks hang; returns whether any hang on or below `module`."""
    below = [guard(child) for child in module._modules.values() if child is not None]
    if any(below) and type(vars(module).get("_modules")) in (dict, OrderedDict):
        _watch_registrations()
        vars(module)["_modules"] = Children(module._modules)
    return any(below) or bool(carried(module))


def unguard(module: nn.Module) -> bool:
    """Undoes `guard` where no block hangs any more; returns whether any hang on or below `module`."""
    below = [unguard(child) for child in module._modules.values() if child is not None]
    if not any(below) and isinstance(module._modules, Children):
        vars(module)["_modules"] = dict(module._modules)
    return any(below) or bool(carried(module))


def put(model: nn.Module, old: nn.Module, new: nn.Module) -> None:
    """Puts `new` under every name that `old` has in the model; blocks are not handed over."""
    for parent in list(model.modules()):
        for child in [child for child, module in parent._modules.items() if module is old]:
            dict.__setitem__(parent._modules, child, new)


def hand_over(old: nn.Module, new: nn.Module) -> None:
    """Lets `new`, which takes the place of `old`, apply the blocks of `old`, as far as it can.

    A conversion may have given `new` the blocks already, or converted copies of them; a copy of `old` has its hooks
    too. These stay.
    """
    theirs = {at.key: at for at in carried(old)}
    able = type(vars(new).get("_modules")) in (dict, OrderedDict, Children)
    others = [at for at in carried(new) if at.key not in theirs and at.place != "instead"]
    if not theirs or not able or others:  # a module that serves several places would run the blocks of each at all
        return
    for at in theirs.values():
        is_residual_block = any(at.key == one.key for one in applied(old)) and at.place == "shortcut"
        if at.place == "instead" or (is_residual_block and entrances(new, at) < at.entrances):
            continue
        for old_hooks, new_hooks in zip(hooks_of(old), hooks_of(new), strict=True):
            _copy_hooks(old_hooks, new_hooks, at)
        block = old._modules.get(at.child)
        if block is not None:
            mark(new._modules.setdefault(at.child, block) or block, at.child)
        set_apart(new)


def release(module: nn.Module, attachment: Attachment) -> None:
    """Removes from one module what an attachment added to it: its hooks and the block."""
    for hooks in hooks_of(module):
        for number, hook in list(hooks.items()):
            if (at := attachment_of(hook)) is not None and at.key == attachment.key:
                del hooks[number]
                block = module._modules.get(at.child)
                if hook.func not in (enter_branch, check_aspect) and block is not None:
                    unmark(block, at.child)
                    dict.__delitem__(module._modules, at.child)
    if not carried(module):
        put_back(module)


def sweep(model: nn.Module) -> None:
    """Removes what removed blocks left behind, such as the hook of a block that somebody deleted."""
    for module in model.modules():
        for at in carried(module):
            if at.removed:
                release(module, at)


def _copy_hooks(old: dict[int, Any], new: dict[int, Any], attachment: Attachment) -> None:
    """Gives `new` the hooks of one attachment that it has not yet."""
    there = [h.func for h in new.values() if (at := attachment_of(h)) and at.key == attachment.key]
    for number, hook in old.items():
        at = attachment_of(hook)
        if at is not None and at.key == attachment.key and hook.func not in there:
            new[number] = hook


def _claim(module: nn.Module, attachments: dict[str, Attachment]) -> None:
    """Lets copies of hooks share the attachments of the model into which they come."""
    for hooks in hooks_of(module):
        for number, hook in hooks.items():
            if (at := attachment_of(hook)) is not None and at.key in attachments:
                hooks[number] = partial(hook.func, attachment=attachments[at.key])
    if isinstance(module, Replacement) and module.attachment is not None:
        module.attachment = attachments.get(module.attachment.key, module.attachment)


def _succeed(children: dict[str, Any], name: str, old: nn.Module, new: nn.Module | None) -> None:
    """Deals with the blocks on and below `old`, which `new` replaces as the child `name`."""
    if any(old is other for other in children.values()):
        return  # moved, not gone: containers shift their items by assignment
    before = _below(old)
    successor = new if new is not None else _folded_into(children, old)
    if successor is not None:
        for module in successor.modules():
            for at in [at for at in carried(module) if at.removed]:  # a module from before a removal comes back
                release(module, at)
            _claim(module, before)
        if not any(old is module for module in successor.modules()):
            hand_over(old, successor)
        guard(successor)
    gone = [at for key, at in before.items() if successor is None or key not in _below(successor)]
    if gone:
        names = ", ".join(at.name for at in gone[:4]) + (f" and {len(gone) - 4} more" if len(gone) > 4 else "")
        what = "deleted" if new is None else f"replaced by {type(new).__name__}"
        warnings.warn(
            f"{name!r} ({type(old).__name__}) is {what}, and with it go the inserted blocks {names}: they are no "
            "longer applied",
            LostBlocksWarning,
            stacklevel=4,
        )


def _below(module: nn.Module) -> dict[str, Attachment]:
    return {at.key: at for below in module.modules() for at in applied(below) if not at.removed}


def _folded_into(children: dict[str, Any], norm: nn.Module) -> nn.Module | None:
    """Returns the convolution into which a deleted batch norm was folded, recognised by its bias; None if none was."""
    if not isinstance(norm, nn.modules.batchnorm._BatchNorm) or norm.running_mean is None or norm.running_var is None:
        return None
    if any(
        hook.func is not apply_to_output
        for hooks in hooks_of(norm)
        for hook in list(hooks.values())
        if attachment_of(hook)
    ):
        return None  # a block before the norm has no place behind the convolution
    with torch.no_grad():
        scale = torch.rsqrt(norm.running_var + norm.eps) * (1.0 if norm.weight is None else norm.weight)
        folded = (0.0 if norm.bias is None else norm.bias) - norm.running_mean * scale
        for conv in children.values():
            if isinstance(conv, nn.modules.conv._ConvNd) and conv.bias is not None and not carried(conv):
                fits = conv.bias.shape == folded.shape and conv.bias.device == folded.device and not folded.is_meta
                if fits and torch.allclose(conv.bias, folded.to(conv.bias.dtype), rtol=1e-2, atol=1e-4):
                    return conv
    return None
