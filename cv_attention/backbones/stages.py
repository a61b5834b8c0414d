"""Finds a network's stages: the levels of resolution on the way down from the image, and a decoder's on the way up."""

from dataclasses import dataclass
from typing import Any

from torch import nn

from cv_attention.backbones.course import Course, resized, same_resolution
from cv_attention.backbones.decoder import decoder_levels
from cv_attention.backbones.encoder import Encoder, find_encoder
from cv_attention.backbones.heads import Heads
from cv_attention.backbones.hosts import Hosts
from cv_attention.backbones.trace import Call, Trace, Value
from cv_attention.backbones.trunk import trunk
from cv_attention.backbones.units import residual_units

# The head begins where the feature map is pooled over all positions.
_GLOBAL_POOLS = {"mean", "_adaptive_avg_pool2d", "adaptive_max_pool2d", "amax"}
_PADS = ("constant_pad_nd", "reflection_pad2d", "replication_pad2d", "_pad_circular")


@dataclass(frozen=True)
class Stages:
    """The hosts at the ends of a network's stages.

    Attributes:
        down: Those on the way down from the image, by which stages are counted.
        up: Those of a decoder, from the deepest to the finest.
        end: Index of the encoder's end, behind which nothing belongs to a stage; None where a classifier follows.
    """

    down: list[str]
    up: list[str]
    end: int | None = None


def find_stages(model: nn.Module, trace: Trace, hosts: Hosts) -> Stages:
    """Finds the hosts at the ends of the stages, in order; the stem is no stage.

    A stage ends before the module that lowers the resolution, or where the encoder's module says so. Where timm names
    the last stage's end, that is believed, since no trace tells the last stage from a convolution that widens it for
    the head.
    """
    if hosts.stages is None:
        hosts.stages = _find(model, trace, hosts)
    return hosts.stages


def _find(model: nn.Module, trace: Trace, hosts: Hosts) -> Stages:
    encoder, made = None, Heads(model, trace).values
    if not _is_classifier(trace):
        course = Course(trace, made)
        encoder = find_encoder(trace, course)
    if encoder is None:
        target = max((value for _, value in trace.outputs), key=lambda v: len(trunk(trace, [v])), default=None)
        chain = trunk(trace, [target]) if target else []
        segments = _segments(trace, chain, made)
        return Stages(_classifier_stages(model, trace, hosts, segments), [])
    segments = _segments(trace, trunk(trace, [encoder.end]), made)
    levels = [level for level in decoder_levels(trace, course, encoder.end) if _has_layer(level)]
    inside = _calls_around(segments + levels)
    down = _encoder_stages(trace, hosts, segments, encoder, course, inside)
    up = [name for level in levels if (name := _decoder_host(trace, hosts, level, made, inside))]
    return Stages(down, [name for name in dict.fromkeys(up) if name not in down], encoder.end.index)


def _is_classifier(trace: Trace) -> bool:
    """Whether all outputs are one vector per image."""
    batch = trace.values[0].shape[:1]
    return all(len(value.shape) == 2 and value.shape[:1] == batch for _, value in trace.outputs)


def _segments(trace: Trace, chain: list[Value], made: set[Value]) -> list[list[Value]]:
    """The trunk's feature maps before the head, one list per resolution; padding changes none."""
    segments: list[list[Value]] = []
    for value in chain:
        pooled = value.op in _GLOBAL_POOLS and value.parents[0].is_feature_map  # not the depth of a volume
        if pooled or value in made:
            break
        if not value.is_feature_map or value.op in _PADS:
            continue
        if not segments or resized(segments[-1][-1], value):
            segments.append([])
        segments[-1].append(value)
    return segments


def _classifier_stages(model: nn.Module, trace: Trace, hosts: Hosts, segments: list[list[Value]]) -> list[str]:
    """The hosts at the ends of a classifier's stages."""
    found = []
    for number in _stage_numbers(trace, segments, trace.shape[1]):
        segment = segments[number]
        if number + 1 < len(segments):
            last = _before_downsampling(trace, segment, segments[number + 1])
        else:
            declared = hosts.value(_declared_end(model))
            last = segment.index(declared) if declared in segment else _before_widening(trace, segment)
        host = _host_near(trace, hosts, segment, last, {})
        if host is not None:
            found.append(host)
    return [name for name in found if not name.startswith("stem.")] or found


def _encoder_stages(
    trace: Trace,
    hosts: Hosts,
    segments: list[list[Value]],
    encoder: Encoder,
    course: Course,
    inside: dict[str, set[int]],
) -> list[str]:
    """The hosts at the ends of an encoder's stages; a dilated network may have several at one resolution."""
    height = max((v.shape[2] for v in trace.values if v in course.down and v not in course.learned and
                  v.is_feature_map), default=trace.shape[1])  # fmt: skip
    found: dict[str, int] = {}
    for number in _stage_numbers(trace, segments, height):
        segment = segments[number]
        taps = [segment.index(tap) for tap in encoder.taps if tap in segment]
        if number + 1 < len(segments):
            taps.append(_before_downsampling(trace, segment, segments[number + 1]))
        for last in sorted(taps):
            host = _host_near(trace, hosts, segment, last, inside)
            if host is not None:
                found.setdefault(host, last)
    return list(found)


def _stage_numbers(trace: Trace, segments: list[list[Value]], height: int) -> list[int]:
    """Which segments are stages, and neither the image nor the stem."""
    units = residual_units(trace)
    first, start, found = (units[0].total.index if units else 0), 0, []
    for number, segment in enumerate(segments):
        end = segment[-1].index
        convolutions, begun = _convolutions(trace, start, end), start > 0
        start = end if convolutions else start
        coarse = height > 3 * segment[-1].shape[2]
        if convolutions >= (1 if begun else 2) and (end >= first or coarse):
            found.append(number)
    return found


def _calls_around(levels: list[list[Value]]) -> dict[str, set[int]]:
    """For each module, the numbers of the levels that end inside its call."""
    found: dict[str, set[int]] = {}
    for number, level in enumerate(levels):
        call: Call | None = level[-1].call
        while call is not None:
            found.setdefault(call.name, set()).add(number)
            call = call.parent
    return found


def _has_layer(level: list[Value]) -> bool:
    """Whether a decoder's level does more than to raise a feature map."""
    return any(value.mixes or len(value.parents) > 1 for value in level)


def _decoder_host(
    trace: Trace, hosts: Hosts, level: list[Value], made: set[Value], inside: dict[str, set[int]]
) -> str | None:
    """The host at a level's end, or what takes it alone where no module returns it, as in a feature pyramid."""
    end = level[-1]
    for value in reversed(level):
        if not _convolutions(trace, value.index, end.index) and (host := _of_level(hosts, value, inside)):
            return host
    for use in trace.consumers[end]:
        call: Call | None = use.call
        while call is not None and call.inputs == [end] and call.output is not None:
            if call.output not in made and same_resolution(call.output, end) and hosts.problem(call.name) is None:
                return call.name
            call = call.parent
    return None


def _of_level(hosts: Hosts, value: Value, inside: dict[str, set[int]]) -> str | None:
    """The outermost host that returned `value` and in which no second level ends."""
    names = [name for name in value.returned_by if len(inside.get(name, ())) < 2]
    return next((name for name in reversed(names) if hosts.problem(name) is None), None)


def _declared_end(model: nn.Module) -> str:
    """The module that ends the last stage, by timm's own list of features."""
    info: Any = getattr(model, "feature_info", None)
    last = info[-1] if isinstance(info, list) and info else None
    return last.get("module", "") if isinstance(last, dict) else ""


def _host_near(trace: Trace, hosts: Hosts, segment: list[Value], last: int, inside: dict[str, set[int]]) -> str | None:
    """The host at position `last`; else near it: before with no convolution between, after, or before."""
    end = segment[last].index
    before = segment[last::-1]
    near = [value for value in before if not _convolutions(trace, value.index, end)]
    return next((h for v in (*near, *segment[last + 1 :], *before) if (h := _of_level(hosts, v, inside))), None)


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


def _convolutions(trace: Trace, start: int, end: int) -> int:
    return sum(value.mixes for value in trace.values[start + 1 : end + 1])


def _before_widening(trace: Trace, segment: list[Value]) -> int:
    """The position in the last segment before a convolution outside of the residual units' container.

    It widens the channels for a classifier, and is the head's rather than a stage's.
    """
    return len(segment) - 1
