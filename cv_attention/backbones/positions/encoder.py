"""Finds where a network's encoder ends: the deepest feature map on the way down from the image."""

from collections import Counter
from dataclasses import dataclass

from cv_attention.backbones.tracing.course import Course, is_map, resized
from cv_attention.backbones.tracing.trace import Trace
from cv_attention.backbones.tracing.trunk import ancestors
from cv_attention.backbones.tracing.values import Call, Value


@dataclass(frozen=True)
class Encoder:
    """The end of the way down.

    Attributes:
        end: The deepest feature map.
        taps: Feature maps that the encoder's module returns as the ends of its stages.
        raised: Whether it is known by the rise behind it alone, not by a module that returns it.
        loose: Whether nothing but its resolution says that it ends a stage.
        parallel: Whether several resolutions are kept at once, so that the `taps` alone are known.
    """

    end: Value
    taps: tuple[Value, ...]
    raised: bool = False
    loose: bool = False
    parallel: bool = False


def find_encoder(trace: Trace, course: Course) -> Encoder | None:
    """Finds the encoder of a network that is not a plain classifier.

    In this order: the module that returns feature maps of several resolutions, each made of the one before; the one
    that returns the last of them by name; the one that returns several resolutions which it keeps at once, as an HRNet
    does; the one that takes the image and returns the coarsest feature map; what is raised to a higher resolution.

    Returns:
        The encoder, or None if the network has none.
    """
    calls = [call for entries in trace.calls.values() for call in entries]
    calls = [call for call in calls if any(value not in course.learned for value in call.inputs)]
    pyramids = [encoder for call in calls if (encoder := _pyramid(call, course))]
    if pyramids:
        return min(pyramids, key=lambda one: (one.end.shape[2], one.end.index))
    found = _named(calls, course) or _parallel(calls, course)
    return found or _single(trace, calls, course) or _raised(course)


def _pyramid(call: Call, course: Course) -> Encoder | None:
    """Returns the feature maps that a module returns, if they lead down level by level."""
    returned = _maps_of(call, course)
    if not returned <= course.down:
        return None
    pooled = {value for value in returned if _is_pooled(value, returned)}
    if len({value.shape[2] for value in returned - pooled}) < 2:
        return None
    returned = _without_side_norms(returned)
    end = min(returned, key=lambda value: (value.shape[2], -value.index), default=None)
    taps = [] if end is None else sorted(returned & ancestors(end), key=lambda value: value.index)
    counts = Counter(value.shape[2] for value in taps)
    if end is None or len(counts) < 2:
        return None
    # A list of features has one for each resolution, more only where dilation keeps the last; hidden states have many.
    dilated = all(count == 1 for height, count in counts.items() if height != end.shape[2])
    return Encoder(end, tuple(taps) if dilated else (end,), loose=not dilated)


def _without_side_norms(maps: set[Value]) -> set[Value]:
    """The feature maps from which each next one was made, where a norm of its own stands before what is returned."""
    ordered = sorted(maps, key=lambda value: (-value.shape[2], value.index))
    behind = ancestors(ordered[-1]) if ordered else set()
    found, passed = set(), []
    for value in ordered:
        ops = []
        while value not in behind and len(value.parents) == 1 and not value.mixes:
            ops.append(value.op)
            value = value.parents[0]
        if value is ordered[-1]:  # nothing is made of the last, which has the same norm
            ops = passed if passed == _last_ops(value, len(passed)) else []
            for _ in ops:
                value = value.parents[0]
        passed = ops
        found.add(value)
    return found


def _is_pooled(value: Value, others: set[Value]) -> bool:
    """Whether it is another feature map with a coarser resolution and no layer between, as a pyramid's last may be."""
    while len(value.parents) == 1 and not value.mixes:
        value = value.parents[0]
        if value in others:
            return True
    return False


def _last_ops(value: Value, count: int) -> list[str]:
    ops = []
    while len(ops) < count and len(value.parents) == 1:
        ops.append(value.op)
        value = value.parents[0]
    return ops


def _parallel(calls: list[Call], course: Course) -> Encoder | None:
    """Returns the outermost module that returns feature maps of several resolutions, whichever way they were made."""
    for call in calls:
        taps = sorted(_maps_of(call, course), key=lambda value: -value.shape[2])
        predicts = any(value in course.made for _, value in call.returned)
        if len({value.shape[2] for value in taps}) == len(taps) > 1 and not predicts:
            return Encoder(taps[-1], tuple(taps), parallel=True)
    return None


def _named(calls: list[Call], course: Course) -> Encoder | None:
    """Returns the module that is the first to return the deepest feature map under a name, or together with others."""
    found = []
    for call in calls:
        maps = _maps_of(call, course)
        named = len(maps) > 1 or any(value in maps and name[:2] != "[0" for name, value in call.returned)
        if call.output is None and maps and named and maps <= course.down:
            found.append(_loose({value for value in maps if not _is_pooled(value, maps)}))
    return min(found, key=lambda one: (one.end.shape[2], one.end.index), default=None)


def _single(trace: Trace, calls: list[Call], course: Course) -> Encoder | None:
    """Returns the outermost module in the model that takes the image and returns the coarsest feature map."""
    maps = [value for value in trace.values if value in course.live and _is_deep(value, course)]
    coarsest = min((value.shape[2] for value in maps), default=0)
    for call in calls:
        if call.name and call.output and _is_deep(call.output, course) and call.output.shape[2] == coarsest:
            return _loose({call.output})
    return None


def _loose(maps: set[Value]) -> Encoder:
    end = min(maps, key=lambda value: (value.shape[2], -value.index))
    return Encoder(end, (end,), loose=True)


def _raised(course: Course) -> Encoder | None:
    """The coarsest feature map whose resolution is raised, without a 1×1 convolution that only sets its channels."""
    sources = [source for source in course.rises.values() if _is_deep(source, course)]
    end = min(sources, key=lambda source: (source.shape[2], source.index), default=None)
    if end is None:
        return None
    while end.op == "convolution" and set(end.kernel) == {1} and not end.transposed and len(end.parents) == 1:
        before = end.parents[0]
        if not is_map(before) or resized(before, end):
            break
        end = before
    return Encoder(end, (end,), raised=True)


def _maps_of(call: Call, course: Course) -> set[Value]:
    """Returns the feature maps that a module returns."""
    return {value for _, value in call.returned if is_map(value) and value in course.learned}


def _is_deep(value: Value, course: Course) -> bool:
    return value in course.down and value in course.learned and is_map(value)
