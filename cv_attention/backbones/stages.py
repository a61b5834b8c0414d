"""Finds the ends of a CNN's stages: the last feature map before each loss of resolution, and the last."""

from typing import Any

from torch import nn

from cv_attention.backbones.hosts import Hosts
from cv_attention.backbones.trace import Trace, Value
from cv_attention.backbones.units import residual_units

# The head begins where the feature map is pooled over all positions.
_GLOBAL_POOLS = {"mean", "_adaptive_avg_pool2d", "adaptive_max_pool2d", "amax"}


def stage_hosts(model: nn.Module, trace: Trace, hosts: Hosts) -> list[str]:
    """The hosts at the ends of the stages, in order; the stem is no stage.

    A stage ends before the module that lowers the resolution. Where timm names the last stage's end, that is
    believed, since no trace tells the last stage from a convolution that widens it for the head.
    """
    segments = _segments(trace)
    first, start, found = _first_unit(trace), 0, []
    for number, segment in enumerate(segments):
        end = segment[-1].index
        convolutions, begun = _convolutions(trace, start, end), start > 0
        start = end if convolutions else start
        coarse = trace.shape[1] > 3 * segment[-1].shape[2]
        if convolutions < (1 if begun else 2) or (end < first and not coarse):
            continue  # the image, or the stem
        if number + 1 < len(segments):
            last = _before_downsampling(trace, segment, segments[number + 1])
        else:
            declared = hosts.value(_declared_end(model))
            last = segment.index(declared) if declared in segment else len(segment) - 1
        host = _host_near(trace, hosts, segment, last)
        if host is not None:
            found.append(host)
    return [name for name in found if not name.startswith("stem.")] or found


def _declared_end(model: nn.Module) -> str:
    """The module that ends the last stage, by timm's own list of features."""
    info: Any = getattr(model, "feature_info", None)
    last = info[-1] if isinstance(info, list) and info else None
    return last.get("module", "") if isinstance(last, dict) else ""


def _segments(trace: Trace) -> list[list[Value]]:
    """The trunk's feature maps before the head, one list per resolution."""
    segments: list[list[Value]] = []
    classifier = _convolutional_classifier(trace)
    for value in _trunk(trace):
        pooled = value.op in _GLOBAL_POOLS and value.parents[0].is_feature_map  # not the depth of a volume
        if pooled or value is classifier:
            break
        if not value.is_feature_map:
            continue
        if not segments or _resized(segments[-1][-1], value):
            segments.append([])
        segments[-1].append(value)
    return segments


def _host_near(trace: Trace, hosts: Hosts, segment: list[Value], last: int) -> str | None:
    """The host at position `last`; else near it: before with no convolution between, after, or before."""
    end = segment[last].index
    before = segment[last::-1]
    near = [value for value in before if not _convolutions(trace, value.index, end)]
    return next((h for v in (*near, *segment[last + 1 :], *before) if (h := hosts.of_trunk(v))), None)


def _before_downsampling(trace: Trace, segment: list[Value], following: list[Value]) -> int:
    """The position in a segment of its last value before the module that lowers the resolution.

    Inverted residual units widen at the old resolution and stride afterwards; the widening is no stage's end.
    """
    position = {value: i for i, value in enumerate(segment)}
    totals = {unit.total for unit in residual_units(trace)}
    last = len(segment) - 1
    for call in (call for calls in trace.calls.values() for call in calls if call.output in following):
        for value in call.inputs:
            within = segment[position[value] + 1 :] if value in position else []
            if value in position and sum(v.mixes for v in within) <= 2 and not totals.intersection(within):
                last = min(last, position[value])
    return last


def _convolutional_classifier(trace: Trace) -> Value | None:
    """The convolution that makes the logits before they are pooled, as SqueezeNet's does."""
    last = next((value for value in reversed(trace.values) if value.mixes), None)
    if last is None or trace.output is None or len(last.shape) != 4 or len(trace.output.shape) != 2:
        return None
    return last if last.shape[1] == trace.output.shape[1] else None


def _convolutions(trace: Trace, start: int, end: int) -> int:
    return sum(value.mixes for value in trace.values[start + 1 : end + 1])


def _first_unit(trace: Trace) -> int:
    units = residual_units(trace)
    return units[0].total.index if units else 0


def _resized(before: Value, after: Value) -> bool:
    """Whether the resolution changed by more than a border: valid convolutions shave a pixel or two."""
    return any(max(a, b) >= 1.5 * min(a, b) for a, b in zip(before.shape[2:], after.shape[2:], strict=True))


def _trunk(trace: Trace) -> list[Value]:
    """The values through which every path from the image to the output goes (its dominators), in order.

    Paths from other inputs are left out.
    """
    if trace.output is None:
        return []
    above: dict[Value, Value | None] = {}
    depth: dict[Value, int] = {}
    for value in trace.values:
        parents = [parent for parent in value.parents if parent in depth]
        if depth and not parents:
            continue
        node: Value | None = parents[0] if parents else None
        for other in parents[1:]:
            node = _meet(node, other, above, depth)
        above[value] = node
        depth[value] = 0 if node is None else depth[node] + 1
    chain, node = [], trace.output if trace.output in depth else None
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
