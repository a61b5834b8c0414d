"""Finds the feature map that a network's global average pooling takes, and where a block can attend it."""

import math

from cv_attention.backbones.positions.hosts import Hosts
from cv_attention.backbones.positions.traced_site import TracedSite, shape_of
from cv_attention.backbones.tracing.trace import Trace
from cv_attention.backbones.tracing.trunk import trunk
from cv_attention.backbones.tracing.values import Value

_AVERAGES = {"mean", "_adaptive_avg_pool2d", "adaptive_avg_pool2d", "mkldnn_adaptive_avg_pool2d", "avg_pool2d"}
_VIEWS = {"view", "_unsafe_view", "reshape"}
_STEPS = _VIEWS | {"mean"}
_MAXIMA = {"amax", "max", "adaptive_max_pool2d", "max_pool2d_with_indices"}
# They commute with factors that are not negative.
_RECTIFIERS = {"relu", "leaky_relu"}


def find_pool(trace: Trace, hosts: Hosts) -> TracedSite | str:
    """Finds the site at which a block attends what the global average pooling takes.

    That is behind the module that returns the feature map, if nothing else uses the map; else before the pooling, if it
    is a module. A ReLU without a module of its own, as in torchvision's DenseNet, comes after the block.

    Args:
        trace: The forward.
        hosts: The model's modules.

    Returns:
        The site; or why there is none, as the end of a sentence.
    """
    outputs = dict.fromkeys(value for _, value in trace.outputs)
    firsts = (next(filter(is_average, trunk(trace, [output])), None) for output in outputs)
    pools = [pool for pool in dict.fromkeys(firsts) if pool is not None]
    if not pools:
        return _missing(trace)
    if len(pools) > 1:
        maps = " and ".join(_size(_first_step(pool).parents[0]) for pool in pools)
        return f"its outputs come from {len(pools)} poolings, of the feature maps {maps}"
    return _site(trace, hosts, pools[0], set(outputs))


def is_average(value: Value) -> bool:
    """Whether it is the mean of a feature map (B, C, H, W) over all positions, in one step or several."""
    if value.op not in _AVERAGES or value.shape[2:] not in ((), (1, 1)):
        return False
    before = _first_step(value).parents[0]
    if value.op == "avg_pool2d" and value.kernel != before.shape[2:]:
        return False
    return before.is_feature_map and before.shape[:2] == value.shape[:2]


def _first_step(pool: Value) -> Value:
    """What is made of the feature map first: a view of its positions, or the mean over its columns, or in all."""
    step, before = pool, pool.parents[0]
    while before.op in _STEPS and before.shape[:2] == pool.shape[:2] and len(before.shape) == 3:
        step, before = before, before.parents[0]
    return step


def _site(trace: Trace, hosts: Hosts, pool: Value, outputs: set[Value]) -> TracedSite | str:
    use = _first_step(pool)
    taken = value = use.parents[0]
    if math.prod(taken.shape[2:]) == 1:
        return f"its pooling takes a single position, {_size(taken)}, of an image {'×'.join(map(str, trace.shape))}"
    while True:
        alone = value not in outputs and trace.consumers[value] == [use]
        names = [name for name in (*value.returned_by[::-1], *value.passed_by) if hosts.problem(name) is None]
        if alone and names:
            return TracedSite(names[0], "after", shape_of(taken), pool.index, taken.index)
        before = hosts.taking(value, use, trace.calls[""][0])
        if before is not None:
            return TracedSite(before, "before", shape_of(taken), pool.index, taken.index)
        if not alone:
            return f"the feature map {_size(taken)} that its pooling takes is used elsewhere too"
        if value.op.removesuffix("_") not in _RECTIFIERS:
            return (
                f"neither a module returns the feature map {_size(taken)} that its pooling takes, nor is the pooling a "
                "module, such as nn.AdaptiveAvgPool2d(1)"
            )
        value, use = value.parents[0], value


def _missing(trace: Trace) -> str:
    """Why no output is made of a global average."""
    chain = [] if trace.output is None else trunk(trace, [trace.output])
    maps = [value for value in chain[1:] if len(value.shape) == 4 and math.prod(value.shape[2:]) > 1]
    if not maps:
        return "no feature map (B, C, H, W) lies on every way to its output"
    last = maps[-1]
    if last is chain[-1]:
        return f"its output is a feature map, {_size(last)}, and nothing pools it"
    following = chain[chain.index(last) + 1]
    if last.channel_axis == 3:
        return f"its last feature map {last.shape[1:]} has the channels last, and a block takes (B, C, H, W)"
    if following.op in _MAXIMA:
        return f"its pooling takes the maximum of the feature map {_size(last)}, not the mean"
    if following.op in _VIEWS and len(following.shape) == 2:
        return f"its head takes all positions of the feature map {_size(last)}, flattened"
    if following.op in _VIEWS and len(following.shape) == 3:
        return f"it makes a sequence of tokens of the feature map {_size(last)}, and no feature map of these again"
    return f"what it makes of the feature map {_size(last)} is not the mean over its positions ({following.op})"


def _size(value: Value) -> str:
    return "×".join(map(str, value.shape[1:]))
