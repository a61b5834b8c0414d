"""Finds a decoder's blocks: the last feature map of each resolution on the way up."""

from cv_attention.backbones.tracing.course import Course, is_map, same_resolution
from cv_attention.backbones.tracing.trace import Trace
from cv_attention.backbones.tracing.trunk import ancestors, trunk
from cv_attention.backbones.tracing.values import Value


def decoder_levels(trace: Trace, course: Course, deepest: Value) -> list[list[Value]]:
    """Returns the feature maps of each level on the way up, finer level by level; each level's last one ends it.

    A level begins where the feature map of the level below is raised. It holds the values through which everything
    goes that leads from there to an output, and ends at the next rise, at a fork, or at the head.

    Args:
        trace: The forward.
        course: Its ways down and up.
        deepest: The encoder's end.
    """
    levels: list[list[Value]] = []
    current: Value | None = deepest
    while (current := _next_rise(course, current)) is not None:
        levels.append(_level(trace, course, current))
    return levels


def _next_rise(course: Course, start: Value) -> Value | None:
    """Returns the first rise of a feature map of the same resolution that was made of `start`."""
    for rise, source in course.rises.items():
        follows = rise.index > start.index and rise in course.live and same_resolution(source, start)
        if follows and start in ancestors(source):
            return rise
    return None


def _level(trace: Trace, course: Course, rise: Value) -> list[Value]:
    outputs = list(dict.fromkeys(value for _, value in trace.outputs))
    found = []
    for value in trunk(trace, outputs, rise):
        if value in course.made or (is_map(value) and not same_resolution(rise, value)):
            break
        if is_map(value):
            found.append(value)
    return found
