"""Finds where a network's encoder ends: the deepest feature map on the way down from the image."""

from dataclasses import dataclass

from cv_attention.backbones.course import Course, is_map, resized
from cv_attention.backbones.trace import Call, Trace, Value
from cv_attention.backbones.trunk import ancestors


@dataclass(frozen=True)
class Encoder:
    """The end of the way down.

    Attributes:
        end: The deepest feature map.
        taps: Feature maps that the encoder's module returns, the deepest among them.
    """

    end: Value
    taps: tuple[Value, ...]


def find_encoder(trace: Trace, course: Course) -> Encoder | None:
    """Finds the encoder of a network that is no plain classifier.

    In this order: the module that returns feature maps of several resolutions, each made of the one before; the module
    that takes the image and returns the coarsest feature map; what is raised first to a higher resolution.

    Returns:
        The encoder, or None if there is no such thing.
    """
    calls = [call for entries in trace.calls.values() for call in entries]
    calls = [call for call in calls if _takes_the_image(call, course)]
    pyramids = [encoder for call in calls if (encoder := _pyramid(call, course))]
    if pyramids:
        return min(pyramids, key=lambda one: (one.end.shape[2], one.end.index))
    maps = [value for value in trace.values if _deep(value, course) and value in course.live]
    coarsest = min((value.shape[2] for value in maps), default=0)
    for call in calls:  # the outermost comes first
        taps = [value for value in _returned(call) if _deep(value, course)]
        if len(taps) == 1 and (call.output is None or call.name) and taps[0].shape[2] == coarsest:
            return Encoder(taps[0], (taps[0],))
    sources = [source for source in course.rises.values() if _deep(source, course)]
    if not sources:
        return None
    end = min(sources, key=lambda source: (source.shape[2], source.index))
    end = _without_projection(end)
    return Encoder(end, (end,))


def _pyramid(call: Call, course: Course) -> Encoder | None:
    """The feature maps that a module returns, if they lead down level by level."""
    returned = [value for value in _returned(call) if is_map(value) and value in course.learned]
    taps = sorted({value for value in returned if _deep(value, course)}, key=lambda value: value.index)
    if len({value.shape[2] for value in taps}) < 2 or len(taps) < len(set(returned)):
        return None
    end = min(taps, key=lambda value: (value.shape[2], -value.index))
    before = ancestors(end)
    return Encoder(end, tuple(taps)) if before.issuperset(taps) else None


def _returned(call: Call) -> list[Value]:
    return [value for _, value in call.returned]


def _deep(value: Value, course: Course) -> bool:
    return value in course.down and value in course.learned and is_map(value)


def _takes_the_image(call: Call, course: Course) -> bool:
    """Whether a module was given what no layer has touched."""
    return any(value not in course.learned for value in call.inputs)


def _without_projection(end: Value) -> Value:
    """What a bare 1×1 convolution takes that only sets the channels before the resolution rises."""
    while end.op == "convolution" and set(end.kernel) == {1} and not end.transposed and len(end.parents) == 1:
        before = end.parents[0]
        if not is_map(before) or resized(before, end):
            break
        end = before
    return end
