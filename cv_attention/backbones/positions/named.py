"""Defines the named positions, each a function from a traced model to its sites."""

import dataclasses
from collections.abc import Callable

from torch import nn

from cv_attention.backbones.attachment.place import Place
from cv_attention.backbones.positions.hosts import Hosts
from cv_attention.backbones.positions.pooling import find_pool
from cv_attention.backbones.positions.stages import find_stages
from cv_attention.backbones.positions.traced_site import TracedSite, shape_of
from cv_attention.backbones.tracing.residual_blocks import ResidualBlock, residual_blocks
from cv_attention.backbones.tracing.trace import Trace
from cv_attention.backbones.tracing.values import Value

_ACTIVATIONS = {
    "relu", "silu", "gelu", "hardswish", "hardtanh", "leaky_relu", "elu", "mish", "prelu", "_prelu_kernel", "clamp_min",
    "sigmoid", "hardsigmoid", "tanh", "softplus", "threshold",
}  # fmt: skip


def residual(model: nn.Module, trace: Trace, hosts: Hosts) -> list[TracedSite]:
    """At the end of each residual branch, before the addition (SE paper, figure 5b, "standard")."""
    return [
        _site(name, "after", hosts.value(name), block)
        for block in residual_blocks(trace)
        if (name := hosts.of_branch(block.branch)) is not None
    ]


def pre(model: nn.Module, trace: Trace, hosts: Hosts) -> list[TracedSite]:
    """At the start of each residual branch, the shortcut left alone (figure 5c, "SE-PRE")."""
    found = []
    for block in residual_blocks(trace):
        names = [hosts.taking(value, first, block.call) for value, first in block.entries]
        value = block.entries[0][0] if block.entries else None
        if value is not None and names[0] is not None and len(set(names)) == 1:
            site = _site(names[0], "before", value, block)
            found.append(dataclasses.replace(site, index=block.entries[0][1].index))
    return found


def post(model: nn.Module, trace: Trace, hosts: Hosts) -> list[TracedSite]:
    """Behind each addition and the activation that follows it in the residual block (figure 5d, "SE-POST")."""
    found = []
    for block in residual_blocks(trace):
        value, uses = block.total, trace.consumers[block.total]
        if len(uses) == 1 and uses[0].op.removesuffix("_") in _ACTIVATIONS and uses[0].call.within(block.call):
            value = uses[0]
        names = [name for name in value.returned_by if hosts.problem(name) is None]
        if names:
            name = block.call.name if block.call.name in names else names[0]
            found.append(_site(name, "after", value, block))
    return found


def identity(model: nn.Module, trace: Trace, hosts: Hosts) -> list[TracedSite]:
    """On each shortcut, behind its projection where it has one (figure 5e, "SE-Identity")."""
    found = []
    for block in residual_blocks(trace):
        if block.shortcut in block.call.inputs:
            entrances = _all_entrances(block, trace, hosts)
            if entrances:
                site = _site(block.call.name, "shortcut", block.shortcut, block)
                found.append(dataclasses.replace(site, entrances=entrances))
        elif (name := hosts.of_branch(block.shortcut)) is not None:
            found.append(_site(name, "after", hosts.value(name), block))
    return found


def stage(model: nn.Module, trace: Trace, hosts: Hosts) -> list[TracedSite]:
    """At the end of each stage, a decoder's too."""
    stages = find_stages(model, trace, hosts)
    return [_site(name, "after", hosts.value(name)) for name in (*stages.down, *stages.up)]


def replace(model: nn.Module, trace: Trace, hosts: Hosts) -> list[TracedSite]:
    """In place of each 3×3 convolution behind the stem that keeps the number of channels, as BoTNet's do."""
    first = next(
        (value.shape[2] for name in find_stages(model, trace, hosts).down if (value := hosts.value(name))), None
    )
    return [
        site
        for name, module in hosts.modules.items()
        if isinstance(module, nn.Conv2d)
        and module.kernel_size == (3, 3)
        and hosts.irreplaceable(name) is None
        # The stem is where the feature map is finer than at the end of the first stage.
        and (site := hosts.in_place_of(name))
        and (first is None or trace.values[site.index].shape[2] <= 1.5 * first)
    ]


def pool(model: nn.Module, trace: Trace, hosts: Hosts) -> list[TracedSite]:
    """At what the global average pooling takes, where a spatial gate of mean 1 makes it a weighted average."""
    found = find_pool(trace, hosts)
    return [] if isinstance(found, str) else [found]


# From a traced model to the sites of one position.
FindSites = Callable[[nn.Module, Trace, Hosts], list[TracedSite]]

POSITIONS: dict[str, FindSites] = {
    "residual": residual, "pre": pre, "post": post, "identity": identity, "stage": stage, "replace": replace,
    "pool": pool,
}  # fmt: skip


def _all_entrances(block: ResidualBlock, trace: Trace, hosts: Hosts) -> tuple[str, ...]:
    """The modules by which the branch takes its input; none unless they are all that takes it but the addition."""
    value = block.shortcut
    if block.call.first is not value or hosts.blocked_before(block.call.name) is not None:
        return ()
    uses = [use for use in trace.consumers[value] if use.call.within(block.call) and use is not block.total]
    names = [hosts.taking(value, use, block.call) for use in uses]
    return tuple(dict.fromkeys(name for name in names if name)) if names and None not in names else ()


def _site(name: str, place: Place, value: Value | None, block: ResidualBlock | None = None) -> TracedSite:
    assert value is not None
    within = block.total.index if block else value.index
    return TracedSite(name, place, shape_of(value), value.index, within, patches=value.patches)
