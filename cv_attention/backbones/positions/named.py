"""Defines the named positions, each a function from a traced model to its spots."""

from collections.abc import Callable

from torch import nn

from cv_attention.backbones.attachment.place import Place
from cv_attention.backbones.positions.hosts import Hosts
from cv_attention.backbones.positions.spots import Spot, shape_of
from cv_attention.backbones.positions.stages import find_stages
from cv_attention.backbones.tracing.trace import Trace, Value
from cv_attention.backbones.tracing.units import ResidualUnit, residual_units

_ACTIVATIONS = {
    "relu", "silu", "gelu", "hardswish", "hardtanh", "leaky_relu", "elu", "mish", "prelu", "_prelu_kernel", "clamp_min",
    "sigmoid", "hardsigmoid", "tanh", "softplus", "threshold",
}  # fmt: skip


def residual(model: nn.Module, trace: Trace, hosts: Hosts) -> list[Spot]:
    """At the end of each residual branch, before the addition (SE paper, figure 5b, "standard")."""
    return [
        _spot(name, "after", hosts.value(name), unit)
        for unit in residual_units(trace)
        if (name := hosts.of_branch(unit.branch)) is not None
    ]


def pre(model: nn.Module, trace: Trace, hosts: Hosts) -> list[Spot]:
    """At the start of each residual branch, the shortcut left alone (figure 5c, "SE-PRE")."""
    found = []
    for unit in residual_units(trace):
        names = [hosts.taking(value, first, unit.call) for value, first in unit.entries]
        value = unit.entries[0][0] if unit.entries else None
        if value is not None and names[0] is not None and len(set(names)) == 1:
            spot = _spot(names[0], "before", value, unit)
            found.append(Spot(spot.host, spot.place, spot.shape, unit.entries[0][1].index, spot.within))
    return found


def post(model: nn.Module, trace: Trace, hosts: Hosts) -> list[Spot]:
    """Behind each addition and the activation that follows it in the unit (figure 5d, "SE-POST")."""
    found = []
    for unit in residual_units(trace):
        value, uses = unit.total, trace.consumers[unit.total]
        if len(uses) == 1 and uses[0].op.removesuffix("_") in _ACTIVATIONS and uses[0].call.within(unit.call):
            value = uses[0]
        names = [name for name in value.returned_by if hosts.problem(name) is None]
        if names:
            name = unit.call.name if unit.call.name in names else names[0]
            found.append(_spot(name, "after", value, unit))
    return found


def identity(model: nn.Module, trace: Trace, hosts: Hosts) -> list[Spot]:
    """On each shortcut, behind its projection where it has one (figure 5e, "SE-Identity")."""
    found = []
    for unit in residual_units(trace):
        if unit.shortcut in unit.call.inputs:
            entrances = _all_entrances(unit, trace, hosts)
            if entrances:
                spot = _spot(unit.call.name, "shortcut", unit.shortcut, unit)
                found.append(Spot(spot.host, spot.place, spot.shape, spot.index, spot.within, entrances))
        elif (name := hosts.of_branch(unit.shortcut)) is not None:
            found.append(_spot(name, "after", hosts.value(name), unit))
    return found


def stage(model: nn.Module, trace: Trace, hosts: Hosts) -> list[Spot]:
    """At the end of each stage, a decoder's too."""
    stages = find_stages(model, trace, hosts)
    return [_spot(name, "after", hosts.value(name)) for name in (*stages.down, *stages.up)]


def replace(model: nn.Module, trace: Trace, hosts: Hosts) -> list[Spot]:
    """In place of each 3×3 convolution behind the stem that keeps the number of channels, as BoTNet's do."""
    first = next(
        (value.shape[2] for name in find_stages(model, trace, hosts).down if (value := hosts.value(name))), None
    )
    return [
        spot
        for name, module in hosts.modules.items()
        if isinstance(module, nn.Conv2d)
        and module.kernel_size == (3, 3)
        and hosts.irreplaceable(name) is None
        # The stem is where the feature map is finer than at the end of the first stage.
        and (spot := hosts.in_place_of(name))
        and (first is None or trace.values[spot.index].shape[2] <= 1.5 * first)
    ]


Position = Callable[[nn.Module, Trace, Hosts], list[Spot]]

POSITIONS: dict[str, Position] = {
    "residual": residual, "pre": pre, "post": post, "identity": identity, "stage": stage, "replace": replace,
}  # fmt: skip


def _all_entrances(unit: ResidualUnit, trace: Trace, hosts: Hosts) -> tuple[str, ...]:
    """The modules by which the branch takes the unit's input; none unless they are all that does but the addition."""
    value = unit.shortcut
    if unit.call.first is not value or hosts.blocked_before(unit.call.name) is not None:
        return ()
    uses = [use for use in trace.consumers[value] if use.call.within(unit.call) and use is not unit.total]
    names = [hosts.taking(value, use, unit.call) for use in uses]
    return tuple(dict.fromkeys(name for name in names if name)) if names and None not in names else ()


def _spot(name: str, place: Place, value: Value | None, unit: ResidualUnit | None = None) -> Spot:
    assert value is not None
    return Spot(name, place, shape_of(value), value.index, unit.total.index if unit else value.index)
