"""Groups parameters for the optimizer: blocks, head and backbone, and learning rates by depth."""

from typing import Any

from torch import nn
from torch.optim import Optimizer

from cv_attention import config
from cv_attention.backbones.positions.parameters import PARTS, Part, parameter_parts


def parameter_groups(network: nn.Module, optimizer: config.Optimizer) -> list[dict[str, Any]]:
    """Divides the trainable parameters into groups by learning rate and weight decay.

    A parameter's rate is ``lr``, times ``lr_scale`` of its part, times ``layer_decay`` to the power of the layers
    between it and the head. Biases and norms (parameters with one axis) get no weight decay in any group.

    Args:
        network: The attended network.
        optimizer: The optimizer's part of the configuration.

    Returns:
        Groups for a torch optimizer: `params`, `lr`, `weight_decay` and a `name`, which is the part and how many layers
        below the head it lies.

    Raises:
        ValueError: if nothing is trainable, or the backbone does not tell its layers.
    """
    depth, scales = layers_below_the_head(network, optimizer.layer_decay), vars(optimizer.lr_scale)
    part = _parts(network, needed=len(set(scales.values())) > 1)
    groups: dict[tuple[Any, ...], dict[str, Any]] = {}
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        decays = parameter.ndim > 1 and not name.endswith(".bias")
        key = (PARTS.index(part[name]), depth[name], decays)
        if key not in groups:
            label = part[name] + (f"-{depth[name]}" if depth[name] else "")
            rate = optimizer.lr * scales[part[name]] * optimizer.layer_decay ** depth[name]
            weight_decay = optimizer.weight_decay if decays else 0.0
            groups[key] = {"params": [], "lr": rate, "weight_decay": weight_decay, "name": label}
        groups[key]["params"].append(parameter)
    if not groups:
        raise ValueError("no parameter is trainable; model.train freezes all but blocks, and there are none")
    return [groups[key] for key in sorted(groups)]


def _parts(network: nn.Module, needed: bool) -> dict[str, Part]:
    """Returns the part of each parameter; if the head is unknown and irrelevant, all belong to the backbone."""
    try:
        return parameter_parts(network)
    except ValueError:
        if needed:
            raise
        return {name: "backbone" for name, _ in network.named_parameters()}


def layers_below_the_head(network: nn.Module, layer_decay: float) -> dict[str, int]:
    """Counts the layers between each parameter and the head, as timm does; all are 0 without a decay."""
    names = [name for name, _ in network.named_parameters()]
    if layer_decay == 1:
        return dict.fromkeys(names, 0)
    from timm.models import group_parameters

    matcher: Any = getattr(network, "group_matcher", None)
    if matcher is None:
        raise ValueError(
            f"optimizer.layer_decay is {layer_decay}, but {type(network).__name__} does not tell its layers (it has no "
            "group_matcher); timm's networks and ours do, optimizer.lr_scale works with any"
        )
    layers: Any = group_parameters(network, matcher(coarse=False), reverse=True)
    top = max(layers.values())
    return {name: top - layers[name] for name in names}


def current_rates(optimizer: Optimizer, config: config.Optimizer) -> dict[str, float]:
    """Returns the current learning rates to log: `lr`, the highest, and `lr_<group>` for each group if they differ."""
    by_name = {f"lr_{group['name']}": group["lr"] for group in optimizer.param_groups}
    differ = config.layer_decay != 1 or len(set(vars(config.lr_scale).values())) > 1
    return {"lr": max(by_name.values()), **(by_name if differ else {})}


def describe(network: nn.Module, optimizer: config.Optimizer) -> str:
    """Describes the peak learning rate and the number of parameters of each group, in one line."""
    counts: dict[tuple[str, float], int] = {}
    for group in parameter_groups(network, optimizer):
        key = group["name"], group["lr"]
        counts[key] = counts.get(key, 0) + sum(parameter.numel() for parameter in group["params"])
    shown = ", ".join(f"{name} {rate:.3g} ({count:,} parameters)" for (name, rate), count in counts.items())
    return f"learning rates: {shown}"
