"""Determines whether each feature map lies on the way down from the image or after an upsampling."""

from functools import cached_property

from cv_attention.backbones.tracing.trace import Trace
from cv_attention.backbones.tracing.trunk import ancestors
from cv_attention.backbones.tracing.values import Value

# Behind these a value says something of all positions, or of a region, and no longer of one.
_GLOBAL = {
    "mean", "_adaptive_avg_pool2d", "adaptive_max_pool2d", "amax", "roi_align", "roi_pool", "ps_roi_align",
    "ps_roi_pool",
}  # fmt: skip
_RISING = {"max_unpool2d", "grid_sampler_2d", "pixel_shuffle"}


class Course:
    """The ways down and up of a traced forward.

    Args:
        trace: The forward.
        made: Values that heads make, which belong to neither.

    Attributes:
        down: Feature maps that were made without raising a resolution, except by a gate that multiplies them.
        up: Feature maps behind a rise.
        rises: Those at which a resolution first rises, each with the feature map that is raised.
        learned: Values behind a convolution or matrix product.
        made: Values that heads make.
    """

    def __init__(self, trace: Trace, made: set[Value]) -> None:
        self.trace = trace
        self.down: set[Value] = set()
        self.rises: dict[Value, Value] = {}
        self.learned: set[Value] = set()
        self.up: set[Value] = set()
        self.made = made
        behind: set[Value] = set()
        for value in trace.values:
            if value.mixes or any(parent in self.learned for parent in value.parents):
                self.learned.add(value)
            if value in made or any(parent in behind for parent in value.parents):
                behind.add(value)
            else:
                self._place(value)

    @cached_property
    def live(self) -> set[Value]:
        """The values from which an output is made."""
        found: set[Value] = set()
        for value in dict.fromkeys(value for _, value in self.trace.outputs):
            if value not in found:
                found |= ancestors(value)
        return found

    def _place(self, value: Value) -> None:
        if not value.parents:
            self.down.add(value)
            return
        if value.op in _GLOBAL and _loses_positions(value):
            return
        down = [parent for parent in value.parents if parent in self.down]
        up = [parent for parent in value.parents if parent in self.up]
        gated = value.op.removesuffix("_") == "mul" and down and same_resolution(down[0], value)
        if up and not gated:
            self.up.add(value)
            source = up[0]
        elif down:
            source = down[0]
        else:
            return
        if _raises(value) and source in self.learned and is_map(source) and source.shape[2] * 1.5 <= value.shape[2]:
            self.rises[value] = source
            self.up.add(value)
        elif value not in self.up:
            self.down.add(value)


def is_map(value: Value) -> bool:
    """Returns whether it is a feature map of the image, not of several regions of it."""
    return value.is_feature_map and value.op not in ("_softmax",)


def resized(before: Value, after: Value) -> bool:
    """Returns whether the resolution changed by more than a border: valid convolutions shave a pixel or two."""
    return any(max(a, b) >= 1.5 * min(a, b) for a, b in zip(before.shape[2:], after.shape[2:], strict=True))


def same_resolution(one: Value, two: Value) -> bool:
    """Returns whether both are feature maps of one resolution."""
    return is_map(one) and is_map(two) and not resized(one, two)


def _raises(value: Value) -> bool:
    return is_map(value) and (value.op.startswith("upsample") or value.op in _RISING or value.transposed)


def _loses_positions(value: Value) -> bool:
    before = value.parents[0].shape
    return len(value.shape) != 4 or (len(before) == 4 and value.shape[2:] != before[2:])
