"""Finds the ends of a CNN's stages: the last feature map before each loss of resolution, and the last of all."""

from typing import Any

from torch import nn

from cv_attention.backbones.hosts import Hosts
from cv_attention.backbones.trace import Trace, Value
from cv_attention.backbones.units import residual_units

# The head begins where the feature map is pooled over all positions.
_GLOBAL_POOLS = {"mean", "_adaptive_avg_pool2d", "adaptive_max_pool2d", "amax"}


def stage_hosts(model: nn.Module, trace: Trace, hosts: Hosts) -> list[str]:
    """The hosts at the ends of the stages, in order; the stem is no stage.

    timm's own list of a model's stages is believed; others are read off the trace.
    """
    return _declared(model, trace, hosts) or _traced(trace, hosts)


def _declared(model: nn.Module, trace: Trace, hosts: Hosts) -> list[str]:
    info: Any = getattr(model, "feature_info", None)
    if not isinstance(info, list) or not all(isinstance(entry, dict) for entry in info):
        return []
    units = residual_units(trace)
    first = units[0].total.index if units else 0
    found: list[str] = []
    for position, entry in enumerate(info):
        name = entry.get("module", "")
        value = hosts.value(name)
        if value is None or not value.is_feature_map:
            return []
        leaf = name in hosts.modules and not list(hosts.modules[name].children())
        if position == 0 and value.index < first and (leaf or name.startswith("stem")):
            continue
        host = hosts.of_trunk(value)
        if host is None:
            return []
        found.append(host)
    return found


def _traced(trace: Trace, hosts: Hosts) -> list[str]:
    segments: list[list[Value]] = []
    for value in _trunk(trace):
        if value.op in _GLOBAL_POOLS:
            break
        if not value.is_feature_map:
            continue
        if not segments or _resized(segments[-1][-1], value):
            segments.append([])
        segments[-1].append(value)
    units = residual_units(trace)
    first = units[0].total.index if units else 0
    found: list[str] = []
    for before, segment in zip([[], *segments], segments, strict=False):
        start, end = (before[-1].index if before else -1), segment[-1].index
        convolutions = sum(v.mixes for v in trace.values[start + 1 : end + 1])
        if convolutions < 2 or end < first:
            continue  # the stem
        host = next((h for v in reversed(segment) if (h := hosts.of_trunk(v))), None)
        if host is not None:
            found.append(host)
    return found


def _resized(before: Value, after: Value) -> bool:
    """Whether the resolution changed by more than a border: valid convolutions shave a pixel or two."""
    return any(max(a, b) >= 1.5 * min(a, b) for a, b in zip(before.shape[2:], after.shape[2:], strict=True))


def _trunk(trace: Trace) -> list[Value]:
    """The values through which every path from the image to the output goes (its dominators), in order."""
    if trace.output is None:
        return []
    above: dict[Value, Value | None] = {}
    depth: dict[Value, int] = {}
    for value in trace.values:
        node: Value | None = value.parents[0] if value.parents else None
        for other in value.parents[1:]:
            node = _meet(node, other, above, depth)
        above[value] = node
        depth[value] = 0 if node is None else depth[node] + 1
    chain, node = [], trace.output
    while node is not None:
        chain.append(node)
        node = above[node]
    return chain[::-1]


def _meet(
    one: Value | None, two: Value | None, above: dict[Value, Value | None], depth: dict[Value, int]
) -> Value | None:
    while one is not two and one is not None and two is not None:
        if depth[one] >= depth[two]:
            one = above[one]
        else:
            two = above[two]
    return one if one is two else None
