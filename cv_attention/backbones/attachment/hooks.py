"""Defines the hooks that apply attached blocks, and finds the blocks of a module."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from cv_attention.backbones.attachment.place import Place
from cv_attention.backbones.attachment.replacement import Replacement, run_block

torch.fx.wrap("run_block")  # here too, under the name that this file calls

# What an attended input remembers for the branch: the tensor that it was. On the tensor, since any number of threads
# may run the model.
_ORIGINAL = "_cv_attention_original"


@dataclass(eq=False)
class Attachment:
    """One attached block; its hooks share this record, and the model's ledger lists it.

    Attributes:
        key: Unique, and the same in copies of the model.
        name: Name of the block in the model into which it was inserted.
        child: Name of the block among its host's children.
        place: Where the block is relative to the host.
        fresh: Copy the block's output: an in-place operation may follow, which the block's gradient forbids.
        entrances: How many modules begin the branch, where the block is on the shortcut.
        removed: Whether `remove` has taken the block out.
        grid: Rows and columns of the patches that it takes, if it takes tokens.
    """

    key: str
    name: str
    child: str
    place: Place
    fresh: bool
    entrances: int = 0
    removed: bool = False
    grid: tuple[int, int] | None = None


def apply_to_output(host: nn.Module, args: Any, output: Tensor, *, attachment: Attachment) -> Tensor:
    """Applies the host's child to the host's output (B, C, H, W), as a forward hook."""
    if attachment.removed:  # a module from before a removal
        return output
    attended = run_block(getattr(host, attachment.child), output)
    return attended.clone() if attachment.fresh else attended


def apply_to_input(host: nn.Module, args: Any, *, attachment: Attachment) -> Any:
    """Applies the host's child to the host's first argument, as a hook before the forward."""
    return (apply_to_output(host, (), args[0], attachment=attachment), *args[1:])


def apply_to_shortcut(host: nn.Module, args: Any, *, attachment: Attachment) -> Any:
    """As `apply_to_input`, and leaves the original to be found by `enter_branch`."""
    before = args[0]
    attended = _remember(apply_to_output(host, (), before, attachment=attachment), before)
    return tuple(attended if one is before else one for one in args)  # DLA gives its residual blocks the shortcut twice


def enter_branch(module: nn.Module, args: Any, *, attachment: Attachment) -> Any:
    """Gives the modules that begin a branch what the shortcut's block was given, as a hook before them."""
    return (_recall(args[0]), *args[1:])


def leave_residual_block(host: nn.Module, args: Any, output: Any, *, attachment: Attachment) -> Any:
    """Drops the original after a residual block, as a hook; the shortcut may live on as the block's output."""
    return _forget(args[0], output)


@torch.fx.wrap  # a graph of torch.fx calls it instead of looking inside
def _remember(attended: Tensor, before: Tensor) -> Tensor:
    if attended is not before:
        original = getattr(before, _ORIGINAL, None)
        setattr(attended, _ORIGINAL, before if original is None else original)
    return attended


@torch.fx.wrap
def _recall(x: Tensor) -> Tensor:
    original = getattr(x, _ORIGINAL, None)
    return x if original is None else original


@torch.fx.wrap
def _forget(x: Tensor, output: Any) -> Any:
    if getattr(x, _ORIGINAL, None) is not None:
        setattr(x, _ORIGINAL, None)
    return output  # so that in a graph this is what the module returns, and no dead code


def check_aspect(source: nn.Module, args: Any, output: Any, *, attachment: Attachment) -> None:
    """Makes sure that the feature map whose positions become patches has the aspect for which a block was inserted.

    Raises:
        ValueError: if it has not: the number of patches alone would not tell 4×9 from 6×6.
    """
    rows, columns = attachment.grid or output.shape[2:]
    height, width = output.shape[2:]
    if not attachment.removed and height * columns != width * rows:
        raise ValueError(
            f"the image has {height}×{width} patches, and the block {attachment.name} was inserted for images of "
            f"{rows}×{columns}, of another aspect; insert with the input_size= of these images"
        )


_APPLYING = (apply_to_output, apply_to_input, apply_to_shortcut)
_OURS = (*_APPLYING, enter_branch, leave_residual_block, check_aspect)


def attachment_of(hook: Any) -> Attachment | None:
    """Returns what a hook of a module applies; None for hooks of others."""
    return hook.keywords["attachment"] if isinstance(hook, partial) and hook.func in _OURS else None


def hooks_of(module: nn.Module) -> tuple[dict[int, Any], dict[int, Any]]:
    """Returns the module's hooks before and behind its forward."""
    return module._forward_pre_hooks, module._forward_hooks


def carried(module: nn.Module) -> list[Attachment]:
    """What hangs on one module, in the order of insertion: the blocks that it applies, and its part in others."""
    found = {at.key: at for hooks in hooks_of(module) for hook in list(hooks.values()) if (at := attachment_of(hook))}
    if isinstance(module, Replacement) and module.attachment is not None:
        found = {module.attachment.key: module.attachment, **found}
    return list(found.values())


def applied(module: nn.Module) -> Iterator[Attachment]:
    """The blocks that one module applies: it is hooked, has the block and, on a shortcut, all of its entrances."""
    if isinstance(module, Replacement) and module.attachment is not None:
        yield module.attachment
    for hooks in hooks_of(module):
        for hook in list(hooks.values()):  # which other threads may change
            at = attachment_of(hook)
            if at is not None and hook.func in _APPLYING and at.child in module._modules:
                yield at


def entrances(module: nn.Module, attachment: Attachment) -> int:
    """Returns how many modules below `module` give a branch what it had before the shortcut's block."""
    hooks = [hook for below in module.modules() for hook in hooks_of(below)[0].values()]
    ours = [(hook, at) for hook in hooks if (at := attachment_of(hook))]
    return sum(at.key == attachment.key and hook.func is enter_branch for hook, at in ours)
