"""Follows autograd's graph: whether a tensor was made from the image, and whether it has kept the image's positions."""

from collections.abc import Iterator
from math import prod
from typing import Any

from torch import Tensor

from cv_attention.saliency.core.places.axes import Axes, Part, Size, free, inside, whole
from cv_attention.saliency.core.places.layouts import Grid

# Operations whose output has, at each position, what its inputs of the same shape have there.
_POINTWISE = {
    "NativeBatchNorm", "CudnnBatchNorm", "MiopenBatchNorm", "NativeGroupNorm", "NativeLayerNorm", "FusedRmsNorm",
    "Relu", "LeakyRelu", "Prelu", "PreluKernel", "Silu", "Gelu", "Hardswish", "Hardsigmoid", "Hardtanh", "Sigmoid",
    "Tanh", "Softplus", "Elu", "Mish", "Clamp", "ClampMin", "Add", "Sub", "Mul", "Div", "Neg", "Clone", "ToCopy",
    "NativeDropout", "Copy", "Alias", "Contiguous", "Pow", "Addcmul",
}  # fmt: skip
# Operations whose output has, at each position, what its input has around it; the image's axes are the last ones.
_AROUND = {
    "Convolution", "MkldnnConvolution", "CudnnConvolution", "NnpackSpatialConvolution", "MaxPool2DWithIndices",
    "MaxPool3DWithIndices", "AvgPool2D", "AvgPool3D", 
    "ReflectionPad2D", "ReplicationPad2D", "UpsampleNearest2D", "UpsampleBilinear2D",
}  # fmt: skip
_VIEWS = {"View", "UnsafeView", "ReshapeAlias", "Squeeze", "Unsqueeze"}
_LINEAR = {"Addmm": 1, "Mm": 0, "Linear": 0}  # and which of their inputs has the positions
_FEWER = 4  # a map with this many times fewer positions than the one looked for no longer holds them


Step = tuple[Any, int, Axes]  # a node, which of its outputs, and the axes of that


def keeps_positions(output: Tensor, grid: Grid, images: Tensor) -> bool:
    """Returns whether a path of local operations and views leads from the images' positions to those of a grid.

    Args:
        output: A feature map or tokens, with a graph. Every map on the path has at least a quarter of its positions.
        grid: Where the output is believed to have the image's positions.
        images: A leaf of that graph, (B, C, H, W).
    """
    least = prod(grid.size) / _FEWER
    waiting: list[Step] = [(output.grad_fn, output.output_nr, _axes(output, grid))]
    seen = set()
    while waiting:
        node, number, axes = waiting.pop()
        if node is None or (node, number, axes) in seen:
            continue
        seen.add((node, number, axes))
        if type(node).__name__ == "AccumulateGrad":
            if node.variable is images and axes.places()[2:] == tuple(range(len(grid.size))):
                return True
            continue
        waiting += [one for one in _parents(node, number, axes) if prod(one[2].grid) >= least]
    return False


def _axes(output: Tensor, grid: Grid) -> Axes:
    places = [whole(axis, size) for axis, size in enumerate(grid.size)]
    if output.dim() == 3:
        digits = tuple(digit for place in places for digit in place)
        if grid.before or grid.after:
            digits = (Part(output.shape[1], grid.before, digits),)
        return Axes((free(len(output)), digits, free(output.shape[2])), grid.size)
    last = free(output.shape[grid.axis])
    ordered = [last, *places] if grid.axis == 1 else [*places, last]
    return Axes((free(len(output)), *ordered), grid.size)


def _parents(node: Any, output: int, axes: Axes) -> Iterator[Step]:
    """Yields what a node's output was made from, with the axes there, where the positions can be followed."""
    kind = type(node).__name__.partition("Backward")[0]
    inputs = [(parent, number, _shape(parent, number)) for parent, number in node.next_functions]
    if kind in _POINTWISE:
        yield from ((parent, number, axes) for parent, number, shape in inputs if shape == axes.shape)
        return
    if kind == "Cat":
        yield from _joined(node, axes, inputs)
        return
    parent, number, shape = inputs[_LINEAR.get(kind, 0)] if inputs else (None, 0, ())
    if parent is None:
        return
    found = None
    if kind in _AROUND:
        found = _around(axes, shape)
    elif kind == "ConstantPadNd":
        found = axes.resized(shape)
    elif kind in _VIEWS:
        found = axes.viewed(shape)
    elif kind in _LINEAR:
        last = len(shape) - 1
        found = (
            axes.with_axis(last, free(shape[last])) if len(axes.digits) == len(shape) and axes.is_free(last) else None
        )
    elif kind == "Permute":
        found = axes.permuted([_signed(axis) % len(shape) for axis in node._saved_dims])
    elif kind == "Transpose":
        order = list(range(len(shape)))
        first, second = _signed(node._saved_dim0), _signed(node._saved_dim1)
        order[first], order[second] = order[second], order[first]
        found = axes.permuted(order)
    elif kind == "Slice":
        found = _cut(axes, _signed(node._saved_dim), shape, _signed(node._saved_start), node._saved_step)
    elif kind == "Split":
        found = _cut(axes, _signed(node._saved_dim), shape, output * int(node._saved_split_size), 1)
    if found is not None:
        yield parent, number, found


def _around(axes: Axes, shape: Size) -> Axes | None:
    """Returns the axes of the input of a convolution or pool over the last axes."""
    return axes.resized(shape) if None not in axes.places()[2:] else None


def _cut(axes: Axes, axis: int, shape: Size, start: int, step: int) -> Axes | None:
    """Returns the axes of a tensor of which every `step`-th value from `start` on was taken."""
    if step > 1:
        return axes.resized(shape)
    axis = axis % len(shape)
    if axes.is_free(axis):
        return axes.with_axis(axis, free(shape[axis]))
    if axes.shape[axis] == shape[axis]:
        return axes
    return axes.with_axis(axis, (inside(axes.digits[axis], shape[axis], start % shape[axis]),))


def _joined(node: Any, axes: Axes, inputs: list[tuple[Any, int, Size]]) -> Iterator[Step]:
    """Yields the tensors that a concatenation put together, those that hold the positions."""
    along = _signed(node._saved_dim) % len(axes.digits)
    if axes.is_free(along):
        for parent, number, shape in inputs:
            if parent is not None:
                yield parent, number, axes.with_axis(along, free(shape[along]))
        return
    digits = axes.digits[along]
    part = inside(digits, axes.shape[along], 0)
    sizes = [shape[along] if parent is not None else 0 for parent, _, shape in inputs]
    unknown = [parent is None for parent, *_ in inputs]  # constants, whose sizes autograd does not keep
    for index, (parent, number, _) in enumerate(inputs):
        before, after = sum(sizes[:index]), sum(sizes[index + 1 :])
        if any(unknown[:index]) and any(unknown[index + 1 :]):
            continue
        offset = part.size - after - sizes[index] if any(unknown[:index]) else before
        rest = part.before - offset
        if parent is not None and rest >= 0 and rest + part.count <= sizes[index]:
            whole_part = part.count == sizes[index]
            yield (
                parent,
                number,
                axes.with_axis(along, part.digits if whole_part else (Part(sizes[index], rest, part.digits),)),
            )


def _shape(node: Any, number: int) -> Size:
    if node is None:
        return ()
    variable = getattr(node, "variable", None)
    return tuple(variable.shape if variable is not None else node._input_metadata[number].shape)


def _signed(number: int) -> int:
    """Returns a number of which autograd keeps the 64 bits without a sign."""
    return number - 2**64 if number >= 2**63 else number


def from_images(outputs: list[Tensor], images: Tensor) -> list[bool]:
    """Returns of each output whether it was computed from `images`, a leaf of its graph, and not from parameters alone.

    Args:
        outputs: Tensors with a graph, in the order in which they were computed.
        images: A leaf that requires gradients.
    """
    reached: dict[Any, bool] = {}
    for output in outputs:
        waiting = [output.grad_fn]
        while waiting:
            node = waiting[-1]
            if node is None or node in reached:
                waiting.pop()
                continue
            parents = [parent for parent, _ in node.next_functions if parent is not None]
            unknown = [parent for parent in parents if parent not in reached]
            if unknown:
                waiting += unknown
                continue
            reached[node] = getattr(node, "variable", None) is images or any(reached[one] for one in parents)
            waiting.pop()
    return [reached.get(output.grad_fn, False) for output in outputs]
