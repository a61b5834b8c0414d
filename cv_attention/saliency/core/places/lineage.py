"""Follows autograd's graph: whether a tensor was made from the image, and a feature map by convolutions alone."""

from math import prod
from typing import Any

from torch import Tensor

# Operations whose output has, at each position, what its input has around it.
_LOCAL = {
    "Convolution", "MkldnnConvolution", "CudnnConvolution", "NativeBatchNorm", "CudnnBatchNorm", "MiopenBatchNorm",
    "NativeGroupNorm", "Relu", "LeakyRelu", "Prelu", "PreluKernel", "Silu", "Gelu", "Hardswish", "Hardsigmoid",
    "Hardtanh", "Sigmoid", "Tanh", "Softplus", "Elu", "Mish", "Clamp", "ClampMin", "Add", "Sub", "Mul", "Div", "Neg",
    "Clone", "ToCopy", "MaxPool2DWithIndices", "MaxPool2DWithIndicesBackward", "MaxPool3DWithIndices", "AvgPool2D",
    "AvgPool3D", "ConstantPadNd", "Cat", "ReflectionPad2D", "ReplicationPad2D", "NativeDropout", "Copy", "Alias",
    "Contiguous", "UpsampleNearest2D", "UpsampleBilinear2D", "Pow", "AddcmulBackward0", "NativeBatchNormBackward",
    "NnpackSpatialConvolution",
}  # fmt: skip
_FEWER = 4  # a map with this many times fewer positions than the one looked for no longer holds them


def keeps_positions(output: Tensor, images: Tensor) -> bool:
    """Returns whether a path of local operations leads from `images` to `output`.

    Args:
        output: A feature map (B, C, h, w) with a graph. Every map on the path has at least a quarter of its positions.
        images: A leaf of that graph, (B, C, H, W).
    """
    least = prod(output.shape[2:]) / _FEWER
    waiting: list[Any] = [output.grad_fn]
    seen = set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        kind = type(node).__name__.removesuffix("Backward0").removesuffix("Backward1")
        if kind == "AccumulateGrad":
            if node.variable is images:
                return True
            continue
        shape = node._input_metadata[0].shape
        if kind in _LOCAL and len(shape) == output.dim() and prod(shape[2:]) >= least:
            waiting += [parent for parent, _ in node.next_functions]
    return False


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
