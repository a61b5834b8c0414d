"""The three parts of an attended network: inserted blocks, head (the layer that makes the logits) and backbone."""

from typing import Literal

from torch import nn

from cv_attention.backbones.attach import attached

Part = Literal["blocks", "head", "backbone"]
PARTS: tuple[Part, ...] = ("blocks", "head", "backbone")


def parameter_parts(model: nn.Module) -> dict[str, Part]:
    """Tells the part of every parameter.

    Args:
        model: Any network, with or without inserted blocks.

    Returns:
        `blocks`, `head` or `backbone` for each name of `model.named_parameters()`, in their order.
    """
    blocks, heads = block_parameters(model), head_names(model)
    found: dict[str, Part] = {}
    for name, parameter in model.named_parameters():
        in_head = any(name.startswith(f"{head}.") or not head for head in heads)
        found[name] = "blocks" if id(parameter) in blocks else "head" if in_head else "backbone"
    return found


def block_parameters(model: nn.Module) -> set[int]:
    """The identities of the parameters of inserted blocks."""
    return {id(p) for _, host, child, _ in attached(model) for p in host.get_submodule(child).parameters()}


def head_names(model: nn.Module) -> list[str]:
    """Names of the modules that make the logits.

    They are what timm's `get_classifier` returns; in other models the linear layer or convolution registered last.
    """
    classifier = getattr(model, "get_classifier", None)
    if classifier is not None:
        found = classifier()
        wanted = list(found) if isinstance(found, tuple | list) else [found]
        return [name for name, module in model.named_modules() if any(module is one for one in wanted)]
    inserted = {module for _, host, child, _ in attached(model) for module in host.get_submodule(child).modules()}
    layers = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | nn.Conv2d) and module not in inserted
    ]
    return layers[-1:]
