"""Finds the encoders that a network runs several times, once for each input.

A Siamese network gives two images to one encoder, a loop over a video's frames all of them. A block in the encoder
then runs as often as the encoder does, as if it had been inserted into the encoder alone.
"""

from cv_attention.backbones.tracing.trace import Trace
from cv_attention.backbones.tracing.values import Call, Value


def encoders(trace: Trace) -> list[str]:
    """Names the outermost modules that run several times on inputs, each time with the same number of convolutions.

    Inputs are values that no convolution or matrix product has touched. So a layer that runs again on its own result,
    or on several feature maps, as a detector's head does, is none.
    """
    touched: set[Value] = set()
    for value in trace.values:
        if value.mixes or not touched.isdisjoint(value.parents):
            touched.add(value)
    found = {
        name
        for name, calls in trace.calls.items()
        if len(calls) > 1 and all(call.inputs and touched.isdisjoint(call.inputs) for call in calls)
    }
    outermost = [name for name in found if not any(_callers(call) & found for call in trace.calls[name])]
    return [name for name in outermost if _works_alike(trace, trace.calls[name])]


def is_complete(part: Trace, whole: Trace) -> bool:
    """Returns whether every module whose output `whole` follows has one in `part`, too."""
    return _followed(whole) <= _followed(part)


def _followed(trace: Trace) -> set[str]:
    return {name for name, calls in trace.calls.items() if any(call.output is not None for call in calls)}


def _callers(call: Call) -> set[str]:
    names, outer = set(), call.parent
    while outer is not None:
        names.add(outer.name)
        outer = outer.parent
    return names


def _works_alike(trace: Trace, calls: list[Call]) -> bool:
    """Returns whether all calls hold the same number of convolutions and matrix products, at least one."""
    mixing = [value for value in trace.values if value.mixes]
    counts = {sum(value.call.within(call) for value in mixing) for call in calls}
    return len(counts) == 1 and 0 not in counts
