"""Divides a network's parameters into inserted blocks, heads and backbone."""

from collections.abc import Sequence
from typing import Literal

from torch import nn

from cv_attention.backbones.attachment.attach import attached
from cv_attention.backbones.positions.heads import Heads, choose_heads, declared_heads, named_heads
from cv_attention.backbones.tracing.dry_run import DryRun, dry_run, trace_training
from cv_attention.globs import Globs

Part = Literal["blocks", "head", "backbone"]
PARTS: tuple[Part, ...] = ("blocks", "head", "backbone")

# The model's attribute that says what the last insertion's plan called its heads.
_HEADS = "_heads_beside_attention"


def parameter_parts(model: nn.Module, head: Globs | None = None) -> dict[str, Part]:
    """Assigns each parameter of a network to a part: inserted blocks, head or backbone.

    Args:
        model: Any network, with or without inserted blocks.
        head: Globs over the names of the heads' modules; by default the heads are those of `head_names`.

    Returns:
        `blocks`, `head` or `backbone` for each name of `model.named_parameters()`, in their order.

    Raises:
        ValueError: if a glob fits no module, or the heads cannot be found.

    Examples:
        >>> from collections import Counter
        >>> from cv_attention import backbones
        >>> model = backbones.build("resnet20", num_classes=10)
        >>> planned = backbones.insert(model, "se", at="stage:-1")
        >>> parts = backbones.parameter_parts(model)
        >>> parts["fc.weight"], parts["conv1.weight"]
        ('head', 'backbone')
        >>> Counter(parts.values())
        Counter({'backbone': 57, 'blocks': 4, 'head': 2})
    """
    blocks = block_parameters(model)
    heads = head_names(model) if head is None else named_heads(model, head)
    found: dict[str, Part] = {}
    for name, parameter in model.named_parameters():
        in_head = any(f"{name}.".startswith(f"{head}.") for head in heads)
        found[name] = "blocks" if id(parameter) in blocks else "head" if in_head else "backbone"
    return found


def block_parameters(model: nn.Module) -> set[int]:
    """Returns the identities of the parameters of inserted blocks."""
    return {id(p) for _, host, child, _ in attached(model) for p in host.get_submodule(child).parameters()}


def plan_heads(model: nn.Module, run: DryRun, head: Globs | None, train: str) -> list[str]:
    """Chooses the heads of an insertion: those that globs name, else those that the dry run shows.

    Raises:
        ValueError: if a glob fits no module, or there is no head and `train` is ``blocks+head``.
    """
    heads = choose_heads(model, run.trace, head)
    heads += [] if head is not None else _heads_of_training(model, run)
    if not heads and "head" in train:
        raise ValueError(
            f"train={train!r}, but {type(model).__name__} has no head, as its outputs are features; use "
            "train='blocks', or name modules to be trained by head=, a glob such as 'layer4.**'"
        )
    return heads


def _heads_of_training(model: nn.Module, run: DryRun) -> list[str]:
    """Returns the heads that run in training alone, such as the auxiliary classifiers of GoogLeNet."""
    used = {name for value in run.trace.values for name in value.weights}
    called = {name for name in run.trace.calls if name}
    unused = {n for n, _ in model.named_parameters() if n not in used and n.rpartition(".")[0] not in called}
    seen = trace_training(model, run.inputs) if unused else None
    names = Heads(model, seen).names if seen is not None else []
    return [name for name in names if any(f"{one}.".startswith(f"{name}.") for one in unused)]


def remember_heads(model: nn.Module, names: Sequence[str]) -> None:
    """Notes the heads of an insertion's plan, for `head_names` to return until `forget_heads`."""
    vars(model)[_HEADS] = tuple(names)


def forget_heads(model: nn.Module) -> None:
    """Undoes `remember_heads` in the model and all its modules."""
    for module in model.modules():
        vars(module).pop(_HEADS, None)


def head_names(model: nn.Module) -> list[str]:
    """Returns the names of the heads: the modules, or parameters, that make the outputs.

    They are those of the last insertion's plan; without an insertion what the library says, as timm's `get_classifier`;
    else those that one forward on an image shows.

    Raises:
        ValueError: if the model does not run on an image of any usual size.
    """
    known = vars(model).get(_HEADS)
    names = {name for name, _ in (*model.named_modules(), *model.named_parameters())}
    if known is not None and names.issuperset(known):
        return list(known)
    declared = declared_heads(model)
    if declared is not None:
        return declared
    try:
        run = dry_run(model, None, None)
        return choose_heads(model, run.trace, None) + _heads_of_training(model, run)
    except ValueError as error:
        raise ValueError(f"the head of {type(model).__name__} is not known: {error}") from error
