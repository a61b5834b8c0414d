"""Finds the dominators of a forward: the values through which every path between two points goes."""

from collections.abc import Sequence

from cv_attention.backbones.tracing.trace import Trace
from cv_attention.backbones.tracing.values import Value


def trunk(trace: Trace, ends: Sequence[Value], start: Value | None = None) -> list[Value]:
    """Returns the values through which every path from `start` to each of `ends` goes, in the forward's order.

    Args:
        trace: The forward.
        ends: Where the paths end; one end is the last value of its own trunk.
        start: Where the paths begin; None stands for the image. Paths from elsewhere are left out: from other inputs,
            or the skip connections of an encoder-decoder besides its deepest feature map.
    """
    start = start or trace.values[0]
    above: dict[Value, Value | None] = {start: None}
    depth: dict[Value, int] = {start: 0}
    for value in trace.values:
        parents = [parent for parent in value.parents if parent in depth]
        if value in depth or not parents:
            continue
        node: Value | None = parents[0]
        for other in parents[1:]:
            node = _meet(node, other, above, depth)
        above[value] = node
        depth[value] = 0 if node is None else depth[node] + 1
    reached = [end for end in ends if end in depth]
    node = reached[0] if reached else None
    for end in reached[1:]:
        node = _meet(node, end, above, depth)
    chain = []
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


def ancestors(value: Value) -> set[Value]:
    """`value` and all values from which it was made."""
    seen, todo = {value}, [value]
    while todo:
        for parent in todo.pop().parents:
            if parent not in seen:
                seen.add(parent)
                todo.append(parent)
    return seen
