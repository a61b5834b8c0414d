"""Divides a trunk into levels of one resolution, and finds where each of them ends."""

from collections.abc import Sequence

from cv_attention.backbones.tracing.course import resized
from cv_attention.backbones.tracing.residual_blocks import residual_blocks
from cv_attention.backbones.tracing.trace import Trace
from cv_attention.backbones.tracing.values import Value

# The head begins where the feature map is pooled over all positions.
_GLOBAL_POOLS = {"mean", "_adaptive_avg_pool2d", "adaptive_max_pool2d", "amax"}
_PADS = {"constant_pad_nd", "reflection_pad2d", "replication_pad2d", "_pad_circular"}


def levels_of(chain: Sequence[Value], made: set[Value]) -> list[list[Value]]:
    """Returns the trunk's feature maps before the head, one list per resolution; padding changes none.

    Args:
        chain: The trunk.
        made: Values that heads make.
    """
    levels: list[list[Value]] = []
    for value in chain:
        pooled = value.op in _GLOBAL_POOLS and value.parents[0].is_feature_map  # not the depth of a volume
        if pooled or value in made or _pools_all(value):
            break
        if not value.is_feature_map or value.op in _PADS:
            continue
        if not levels or resized(levels[-1][-1], value):
            levels.append([])
        levels[-1].append(value)
    return levels


def stage_numbers(trace: Trace, levels: list[list[Value]], height: int) -> list[int]:
    """Returns which levels are stages, and neither the image, `height` pixels high, nor the stem."""
    blocks = residual_blocks(trace)
    first, start, found = (blocks[0].total.index if blocks else 0), 0, []
    for number, level in enumerate(levels):
        end = level[-1].index
        layers, begun = layers_between(trace, start, end), start > 0
        start = end if layers else start
        coarse = height > 3 * level[-1].shape[2]
        if layers >= (1 if begun else 2) and (end >= first or coarse):
            found.append(number)
    return found


def end_before(trace: Trace, level: list[Value], following: list[Value]) -> int:
    """Returns the position in a level of its last value before the module that changes the resolution.

    Inverted residual blocks widen at the old resolution and stride afterwards, and a decoder's block may narrow before
    it raises the resolution; neither is the end of the level before.
    """
    position = {value: i for i, value in enumerate(level)}
    totals = {block.total for block in residual_blocks(trace)}
    last, after = len(level) - 1, set(following)
    for call in (call for calls in trace.calls.values() for call in calls if call.output in after):
        for value in call.inputs:
            within = level[position[value] + 1 :] if value in position else []
            if value in position and sum(v.mixes for v in within) <= 2 and not totals.intersection(within):
                last = min(last, position[value])
    return last


def end_before_widening(level: list[Value], ends: Sequence[str]) -> int:
    """Returns the position in the last level before a 1×1 convolution that widens for the head.

    It is recognised by where it stands: outside of the container that holds the ends of all stages.

    Args:
        level: The last level.
        ends: The hosts at the ends of the stages before.
    """
    last = len(level) - 1
    containers = {name.rpartition(".")[0] for name in ends}
    layer = next((i for i in range(last, 0, -1) if level[i].mixes), 0)
    if len(containers) != 1 or containers == {""} or not layer or set(level[layer].kernel) != {1}:
        return last
    (container,) = containers
    inside = [any(name.rpartition(".")[0] == container for name in level[i].returned_by) for i in (layer - 1, last)]
    return layer - 1 if inside == [True, False] else last


def layers_between(trace: Trace, start: int, end: int) -> int:
    """Returns how many convolutions and matrix products run behind one value's index up to another's."""
    return sum(value.mixes for value in trace.values[start + 1 : end + 1])


def _pools_all(value: Value) -> bool:
    """Returns whether an average over a window took all positions at once."""
    return value.op == "avg_pool2d" and set(value.shape[2:]) == {1} and set(value.parents[0].shape[2:]) != {1}
