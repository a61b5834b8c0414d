"""Finds the residual blocks of a traced forward: the additions of a branch to a shortcut."""

from dataclasses import dataclass

from cv_attention.backbones.tracing.trace import Trace
from cv_attention.backbones.tracing.values import Call, Value


@dataclass(frozen=True)
class ResidualBlock:
    """An addition ``branch + shortcut``.

    Attributes:
        branch: End of the residual branch.
        shortcut: The residual block's input, or what its shortcut made of it.
        total: Their sum.
        inside: Values of the branch.
        entries: Where the branch leaves the shortcut's way: pairs of a value of both and the branch's first of it.
        call: Call of the module that adds.
    """

    branch: Value
    shortcut: Value
    total: Value
    inside: frozenset[Value]
    entries: tuple[tuple[Value, Value], ...]
    call: Call


def residual_blocks(trace: Trace) -> list[ResidualBlock]:
    """Returns the residual blocks in the order of the forward.

    An addition of two feature maps of one shape is a residual block where one is an ancestor of the other
    (identity shortcut), or where both come from the same input of the module that adds and one has fewer
    convolutions behind it (projection shortcut). A skip around several residual blocks does not count, nor does one
    inside the branch of another. Additions of tokens count only in a network that adds no feature maps, as in a plain
    vision transformer.
    """
    found = [block for value in trace.values if len(value.shape) == 4 and (block := _block_at(value))]
    found = found or [block for value in trace.values if value.patches and (block := _block_at(value))]
    totals = {block.total for block in found}
    found = [block for block in found if len(block.inside & totals) < 2]
    return [u for u in found if not any(u.total in other.inside for other in found if other is not u)]


def _block_at(total: Value) -> ResidualBlock | None:
    if total.op not in ("add", "add_") or len(total.parents) != 2:
        return None
    one, two = total.parents
    if not one.shape == two.shape == total.shape:
        return None
    call = total.call
    while call.parent is not None and one in call.inputs and two in call.inputs:
        call = call.parent  # a module that only adds: look at who called it
    if total.patches:
        call = _common_call(call, one, two)
    inputs = set(call.inputs)
    behind_one, behind_two = _ancestors(one, inputs), _ancestors(two, inputs)
    if two in behind_one or one in behind_two:
        branch, shortcut = (one, two) if two in behind_one else (two, one)
    else:
        shared = behind_one & behind_two
        # Two paths that part after a convolution are parts of one branch (Res2Net), not branch and shortcut.
        if not shared or any(v.mixes for v in shared - inputs):
            return None
        depth_one, depth_two = _mixing_depth(one, shared), _mixing_depth(two, shared)
        if depth_one == depth_two:
            return None
        branch, shortcut = (one, two) if depth_one > depth_two else (two, one)
    inside = _ancestors(branch, inputs | {shortcut}) - inputs - {shortcut}
    if not any(v.mixes for v in inside):
        return None
    if call.output is not None and _ancestors(call.output, inputs | {total}) & inputs:
        return None  # the sum is but one of several ways to the module's output (NASNet's cells)
    own = inside - _ancestors(shortcut, inputs)
    entries = [(parent, value) for value in own for parent in value.parents if parent not in own]
    entries.sort(key=lambda entry: entry[1].index)
    return ResidualBlock(branch, shortcut, total, frozenset(inside), tuple(entries), call)


def _common_call(call: Call, one: Value, two: Value) -> Call:
    """Returns the innermost call that has the branch and where it begins; BERT's layers add in an inner module."""
    while call.parent is not None and not _ancestors(one, set(call.inputs)) & _ancestors(two, set(call.inputs)):
        call = call.parent
    return call


def _ancestors(value: Value, stop: set[Value]) -> set[Value]:
    """`value` and all before it, up to and including those in `stop`."""
    seen, todo = {value}, [value]
    while todo:
        current = todo.pop()
        if current in stop:
            continue
        for parent in current.parents:
            if parent not in seen:
                seen.add(parent)
                todo.append(parent)
    return seen


def _mixing_depth(value: Value, stop: set[Value]) -> int:
    """Most convolutions and matrix products on a path from `stop` to `value`."""
    depth: dict[Value, int] = dict.fromkeys(stop, 0)
    for current in sorted(_ancestors(value, stop), key=lambda v: v.index):
        if current not in stop:
            depth[current] = current.mixes + max((depth.get(p, 0) for p in current.parents), default=0)
    return depth[value]
