"""Warns of insertions that cost more than the network itself, and suggests cheaper positions."""

import copy
from typing import Any

import torch
from torch import nn

from cv_attention.backbones.insertion.insertion import plan, remove
from cv_attention.backbones.insertion.plans import Plan

_TOO_MUCH = 1.0  # share of the network's own operations or parameters
_CHEAPER = ("residual:-1", "stage", "stage:-1")


def excess(model: nn.Module, block: Any, planned: Plan) -> str | None:
    """Warns of an insertion whose blocks need more operations or parameters than the network itself.

    Args:
        model: The model, with or without the blocks; it is not changed.
        block: The block, as `insert` takes it.
        planned: The plan of the insertion.

    Returns:
        One line with the cost and the positions at which the same block costs less; None where the cost is at most that
        of the network.

    Examples:
        >>> from cv_attention import backbones
        >>> model = backbones.build("resnet20", num_classes=10, width=4)
        >>> backbones.excess(model, "se", backbones.plan(model, "se")) is None
        True
        >>> print(backbones.excess(model, "vit", backbones.plan(model, "vit")))
        warning: the blocks add 1164 % to the network's FLOPs and 76 % to its parameters ...
    """
    flops, parameters = _shares(planned)
    if max(flops, parameters) <= _TOO_MUCH:
        return None
    warning = (
        f"warning: the blocks add {100 * flops:.0f} % to the network's FLOPs and {100 * parameters:.0f} % to its "
        f"parameters ({planned.block} at {', '.join(planned.at)}, {len(planned.sites)} sites)"
    )
    by_place = isinstance(block, dict) and not {"name", "class_path"} & block.keys()
    cheaper = [] if by_place or not isinstance(block, str | dict) else _cheaper(model, block, planned)
    return f"{warning}; it costs less at {', at '.join(cheaper)}" if cheaper else f"{warning}; fewer sites cost less"


def _shares(planned: Plan) -> tuple[float, float]:
    pairs = ((planned.added_flops, planned.flops), (planned.added_parameters, planned.parameters))
    flops, parameters = (added / plain if plain else 0.0 for added, plain in pairs)
    return flops, parameters


def _cheaper(model: nn.Module, block: Any, planned: Plan) -> list[str]:
    """Returns the positions that cost less, the dearest first."""
    plain, costs = copy.deepcopy(model), {}
    remove(plain)
    before = sum(_shares(planned))
    for position in _CHEAPER:
        try:
            with torch.random.fork_rng(devices=[]):
                shares = _shares(plan(plain, block, position, input_size=planned.input_shape))
        except ValueError:  # the network has no such position, or the block does not fit there
            continue
        if sum(shares) < before:
            costs[f"{position} (FLOPs +{100 * shares[0]:.0f} %, parameters +{100 * shares[1]:.0f} %)"] = sum(shares)
    return sorted(costs, key=lambda position: -costs[position])
