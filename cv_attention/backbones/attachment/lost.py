"""Detects inserted blocks that are no longer applied, and warns of them."""

import warnings
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from cv_attention.backbones.attachment.hooks import Attachment, applied, entrances

_LEDGER = "_inserted_attention"  # on a model: what has been inserted into it
_MARK = "_inserted_as"  # on a block: what it is called below its hosts


class LostBlocksWarning(UserWarning):
    """Warns that inserted blocks are no longer applied: they take part in no forward, and do not learn.

    That happens where a module of the model is replaced after the insertion. `cv_attention.record` and the training
    loop give this warning; insert the blocks again, after the replacement.

    Examples:
        >>> import warnings
        >>> import cv_attention as cva
        >>> warnings.simplefilter("error", cva.LostBlocksWarning)  # an error ends the program where a warning is missed
    """


class LostBlocksError(ValueError):
    """Raised where a training run would begin although inserted blocks are no longer applied."""


def enter(model: nn.Module, attachments: Iterable[Attachment]) -> None:
    """Lists attachments in the model's ledger."""
    vars(model)[_LEDGER] = [*vars(model).get(_LEDGER, []), *attachments]


def strike(model: nn.Module) -> None:
    """Takes what has been removed off the ledgers of the model and its modules."""
    for module in model.modules():
        if _LEDGER in vars(module):
            left = [at for at in vars(module)[_LEDGER] if not at.removed]
            if left:
                vars(module)[_LEDGER] = left
            else:
                del vars(module)[_LEDGER]


def mark(block: nn.Module, child: str) -> None:
    """Makes a block known as inserted under the name `child`, wherever it is found."""
    vars(block)[_MARK] = {*vars(block).get(_MARK, ()), child}


def unmark(block: nn.Module, child: str) -> None:
    """Undoes `mark`."""
    left = vars(block).get(_MARK, set()) - {child}
    if left:
        vars(block)[_MARK] = left
    else:
        vars(block).pop(_MARK, None)


def is_inserted(module: nn.Module) -> bool:
    """Returns whether a module is a block that has been inserted somewhere."""
    return _MARK in vars(module)


def orphans(model: nn.Module) -> list[tuple[str, nn.Module, str]]:
    """Blocks that are in the model and that nothing applies, as (name of the module above, that module, child)."""
    inlined = {name for name, graph in _graphs(model) for name in _targets(name, graph, "get_attr")}
    found = []
    for name, module in model.named_modules():
        used = {at.child for at in applied(module)}
        for child, block in module._modules.items():
            known = block is not None and child in vars(block).get(_MARK, ())
            if known and child not in used and f"{name}.{child}".lstrip(".") not in inlined:
                found.append((name, module, child))
    return found


def refuse_inlined(model: nn.Module) -> None:
    """Makes sure that no inserted block has become part of a graph.

    Raises:
        ValueError: if `torch.fx` has traced the module that applied one.
    """
    names = sorted({name for top, graph in _graphs(model) for name in _targets(top, graph, "get_attr")})
    modules = dict(model.named_modules())
    found = [name for name in names if name in modules and is_inserted(modules[name])]
    if found:
        raise ValueError(
            f"{len(found)} inserted blocks are part of the graph of a {type(model).__name__} ({', '.join(found[:4])}"
            f"{', ...' if len(found) > 4 else ''}), which calls them itself; remove them before torch.fx traces"
        )


def ledger(model: nn.Module) -> list[tuple[str, Attachment]]:
    """Everything that has been inserted into the model or its modules, as (name of the block, attachment)."""
    entries = [(name, at) for name, module in model.named_modules() for at in vars(module).get(_LEDGER, [])]
    return [(f"{name}.{at.name}" if name else at.name, at) for name, at in entries if not at.removed]


def lost_blocks(model: nn.Module, called: Iterable[str] | None = None) -> dict[str, str]:
    """Inserted blocks that are no longer applied.

    Args:
        model: The model.
        called: Names of all modules that a forward called, where one is known.

    Returns:
        The name of each block -> why it is lost.
    """
    there: dict[str, tuple[str, nn.Module, Attachment]] = {
        at.key: (name, module, at) for name, module in model.named_modules() for at in applied(module)
    }
    found = {name: "it is no longer in the model" for name, at in ledger(model) if at.key not in there}
    for name, _, child in orphans(model):
        found[f"{name}.{child}" if name else child] = "no hook applies it"
    for name, module, at in there.values():
        path = f"{name}.{at.child}" if name else at.child
        if entrances(module, at) < at.entrances:
            found[path] = "a module at the start of its residual block's branch has been replaced"
        elif called is not None and name not in called:
            found[path] = f"the forward does not call {name!r}"
    for top, graph in _graphs(model):
        calls = _targets(top, graph, "call_module")
        for name, _, at in there.values():
            if name.startswith(top) and not any(f"{name}.".startswith(f"{call}.") for call in calls):
                found[f"{name}.{at.child}"] = f"the graph does not call {name!r}"
    return found


def report_lost(model: nn.Module, called: Iterable[str] | None = None, stacklevel: int = 3) -> None:
    """Warns of inserted blocks that are no longer applied."""
    found = lost_blocks(model, called)
    if found:
        warnings.warn(_message(model, found), LostBlocksWarning, stacklevel=stacklevel)


def require_applied(model: nn.Module) -> None:
    """Makes sure that every inserted block is applied.

    Raises:
        LostBlocksError: if one is not.
    """
    found = lost_blocks(model)
    if found:
        raise LostBlocksError(_message(model, found))


def _message(model: nn.Module, found: dict[str, str]) -> str:
    shown = [f"{name} ({why})" for name, why in list(found.items())[:4]]
    more = f" and {len(found) - 4} more" if len(found) > 4 else ""
    many = "block is" if len(found) == 1 else "blocks are"
    return (
        f"{len(found)} inserted {many} no longer applied in {type(model).__name__}: {', '.join(shown)}{more}; insert "
        "after the conversion that lost them, or take them out by cv_attention.remove(model)"
    )


def _graphs(model: nn.Module) -> list[tuple[str, Any]]:
    """Returns the modules that run a graph of torch.fx, and the prefix of names in it."""
    found = [(name, m) for name, m in model.named_modules() if isinstance(m, torch.fx.GraphModule)]
    return [(f"{name}." if name else "", module.graph) for name, module in found]


def _targets(top: str, graph: Any, operation: str) -> list[str]:
    return [f"{top}{node.target}" for node in graph.nodes if node.op == operation]
