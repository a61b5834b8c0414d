"""Finds a network's stages: the resolution levels of the encoder, and those of a decoder."""

from typing import Any

from torch import nn

from cv_attention.backbones.positions.decoder import decoder_levels
from cv_attention.backbones.positions.encoder import Encoder, find_encoder
from cv_attention.backbones.positions.heads import Heads
from cv_attention.backbones.positions.hosts import Hosts
from cv_attention.backbones.positions.levels import (
    end_before,
    end_before_widening,
    layers_between,
    levels_of,
    stage_numbers,
)
from cv_attention.backbones.positions.stage_hosts import Stages
from cv_attention.backbones.tracing.course import Course, same_resolution
from cv_attention.backbones.tracing.trace import Trace
from cv_attention.backbones.tracing.trunk import trunk
from cv_attention.backbones.tracing.values import Call, Value

# A level, and the positions in it at which a stage ends; several only in a dilated network.
_Ends = list[tuple[list[Value], list[int]]]


def find_stages(model: nn.Module, trace: Trace, hosts: Hosts) -> Stages:
    """Finds the hosts at the ends of the stages, in order; the stem is not a stage.

    A stage ends before the module that changes the resolution, or where the encoder's module says so. Where timm names
    the last stage's end, timm decides, since a trace does not show whether a last convolution belongs to the stage or
    widens it for the head.
    """
    if hosts.stages is None:
        made = Heads(model, trace).values
        course = Course(trace, made)
        encoder = None if _is_classifier(trace) else find_encoder(trace, course)
        if encoder is None:
            hosts.stages = Stages(_plain_stages(model, trace, hosts, made), [])
        elif encoder.parallel:
            hosts.stages = Stages(_parallel_stages(hosts, encoder, trace.shape[1]), [], encoder.end.index)
        else:
            hosts.stages = _stages_around(trace, hosts, encoder, course)
    return hosts.stages


def _is_classifier(trace: Trace) -> bool:
    """Returns whether all outputs are one vector per image."""
    return all(len(value.shape) == 2 and value.shape[0] == trace.batch for _, value in trace.outputs)


def _plain_stages(model: nn.Module, trace: Trace, hosts: Hosts, made: set[Value]) -> list[str]:
    """Returns the stages of a network whose feature maps lead down to its outputs, as a classifier's do."""
    chains = [trunk(trace, [value]) for _, value in trace.outputs]
    levels = levels_of(max(chains, key=len, default=[]), made)
    found: list[str] = []
    for number in stage_numbers(trace, levels, trace.shape[1]):
        level = levels[number]
        if number + 1 < len(levels):
            last = end_before(trace, level, levels[number + 1])
        else:
            declared = hosts.value(_declared_end(model))
            last = level.index(declared) if declared in level else end_before_widening(level, found)
        host = _host_near(trace, hosts, level, last, {})
        if host is not None:
            found.append(host)
    return [name for name in found if not name.startswith("stem.")] or found


def _parallel_stages(hosts: Hosts, encoder: Encoder, height: int) -> list[str]:
    """Returns the stages of an encoder that keeps several resolutions at once: the feature maps that it returns."""
    taps = [value for value in encoder.taps if height > 3 * value.shape[2]] or encoder.taps  # without the stem
    found = [_host_of(hosts, value, {}) for value in taps]
    return [name for name in found if name is not None]


def _stages_around(trace: Trace, hosts: Hosts, encoder: Encoder, course: Course) -> Stages:
    """Returns the stages of an encoder, and of the decoder behind it."""
    levels = levels_of(trunk(trace, [encoder.end]), course.made)
    rising = decoder_levels(trace, course, encoder.end)
    image = [v.shape[2] for v in course.down - course.learned if v.is_feature_map]
    down: _Ends = []
    for number in stage_numbers(trace, levels, max(image, default=trace.shape[1])):
        level = levels[number]
        if number + 1 < len(levels):
            ends = [end_before(trace, level, levels[number + 1])]
        elif encoder.raised and rising:
            ends = [end_before(trace, level, rising[0])]
        else:
            ends = [level.index(tap) for tap in encoder.taps if tap in level] or [len(level) - 1]
        down.append((level, ends))
    up: _Ends = []
    for number, level in enumerate(rising):
        if _has_layer(level):
            up.append((level, [end_before(trace, level, rising[number + 1] if number + 1 < len(rising) else [])]))
    inside = _calls_around([level[last] for level, ends in (*down, *up) for last in ends])
    found: list[str] = []
    for level, ends in down:
        found += [name for last in ends if (name := _host_near(trace, hosts, level, last, inside))]
    if encoder.loose:
        found[-1:] = [_narrower(trace, hosts, down, found, inside) or found[-1]] if found else []
    above = [name for level, (last,) in up if (name := _decoder_host(trace, hosts, level[: last + 1], course, inside))]
    found = list(dict.fromkeys(found))
    above = sorted(set(above) - set(found), key=lambda name: value.index if (value := hosts.value(name)) else 0)
    return Stages(found, above, encoder.end.index)


def _narrower(trace: Trace, hosts: Hosts, down: _Ends, found: list[str], inside: dict[str, set[Value]]) -> str | None:
    """Returns the last stage's host without a convolution that widens it for a head that is not there."""
    level, ends = down[-1]
    level = level[: ends[-1] + 1]
    return _host_near(trace, hosts, level, end_before_widening(level, found[:-1]), inside)


def _calls_around(ends: list[Value]) -> dict[str, set[Value]]:
    """For each module, the stages' ends that are made inside its call."""
    found: dict[str, set[Value]] = {}
    for end in ends:
        call: Call | None = end.call
        while call is not None:
            found.setdefault(call.name, set()).add(end)
            call = call.parent
    return found


def _has_layer(level: list[Value]) -> bool:
    """Returns whether a decoder's level does more than to raise a feature map."""
    return any(value.mixes or len(value.parents) > 1 for value in level)


def _decoder_host(
    trace: Trace, hosts: Hosts, level: list[Value], course: Course, inside: dict[str, set[Value]]
) -> str | None:
    """Returns the host at a level's end, or what takes it alone where no module returns it, as in a feature pyramid."""
    end = level[-1]
    for value in reversed(level):
        if not layers_between(trace, value.index, end.index) and (host := _host_of(hosts, value, inside)):
            return host
    for use in trace.consumers[end]:
        call: Call | None = use.call
        found = None
        while call is not None and call.inputs == [end]:
            output = call.output
            if output and output not in course.made and same_resolution(output, end) and not hosts.problem(call.name):
                found = call.name
            call = call.parent
        if found is not None:
            return found
    return None


def _host_of(hosts: Hosts, value: Value, inside: dict[str, set[Value]]) -> str | None:
    """Returns the outermost host that returned `value` and in which no other stage ends; None if there is none."""
    names = [name for name in value.returned_by if not inside.get(name, set()) - {value}]
    return next((name for name in reversed(names) if hosts.problem(name) is None), None)


def _host_near(trace: Trace, hosts: Hosts, level: list[Value], last: int, inside: dict[str, set[Value]]) -> str | None:
    """Returns the host at position `last`; else near it: before with no convolution between, after, or before."""
    end = level[last].index
    before = level[last::-1]
    near = [value for value in before if not layers_between(trace, value.index, end)]
    return next((h for v in (*near, *level[last + 1 :], *before) if (h := _host_of(hosts, v, inside))), None)


def _declared_end(model: nn.Module) -> str:
    """Returns the module that ends the last stage, by timm's own list of features."""
    info: Any = getattr(model, "feature_info", None)
    last = info[-1] if isinstance(info, list) and info else None
    return last.get("module", "") if isinstance(last, dict) else ""
