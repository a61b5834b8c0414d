"""Counts a block's parameters, and its operations in one forward on one image."""

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from cv_attention.blocks.construction import Spec, resolve
from cv_attention.blocks.flops import flops_of

# Reductions read every element once, and are not among the operations that torch tags as pointwise.
_REDUCTIONS = {
    "mean", "sum", "amax", "amin", "max", "min", "var", "std", "var_mean", "prod", "norm", "cumsum",
    "linalg_vector_norm", "avg_pool2d",
}  # fmt: skip
# Torch tags these as pointwise too, but they only move elements.
_COPIES = {"clone", "copy_", "_to_copy"}
# Softmax and normalisations are one operator each: the passes over their input that the plain composition
# takes.
_COMPOSITES = {
    "_softmax": 4, "_safe_softmax": 4, "_log_softmax": 4, "native_layer_norm": 6, "native_group_norm": 6,
    "native_batch_norm": 4, "cudnn_batch_norm": 4, "_native_batch_norm_legit": 4,
    "_native_batch_norm_legit_no_training": 4,
}  # fmt: skip


@dataclass(frozen=True)
class Cost:
    """Holds what a block costs for one image.

    Attributes:
        parameters: Learnable numbers.
        products: FLOPs of convolutions and matrix products, a multiplication and an addition counting as two
            (as `torch.utils.flop_counter` counts).
        elementwise: Operations of everything else: one per element of an element-wise operation or of a
            reduction's input, a few for softmax and normalisations, none for copies.

    Examples:
        >>> from cv_attention import blocks
        >>> found = blocks.cost("eca", 64, height=56, width=56)
        >>> found
        Cost(parameters=3, products=384, elementwise=401472)
        >>> found.flops  # products and element-wise operations
        401856
    """

    parameters: int
    products: int
    elementwise: int

    @property
    def flops(self) -> int:
        """All operations: `products` and `elementwise`."""
        return self.products + self.elementwise


def cost(block: Spec | nn.Module, channels: int, height: int, width: int) -> Cost:
    """Counts parameters and operations of a block in evaluation, for one image.

    Nothing is computed: the block is built, or copied, on torch's meta device.

    Args:
        block: A name, a mapping or a class as `resolve` takes them, or a block.
        channels: Channels C of the feature map.
        height: Height H of the feature map in positions.
        width: Width W of the feature map in positions.

    Returns:
        The number of parameters and operations.

    Raises:
        ValueError: if there is no such block, or it does not take `channels`.

    Examples:
        >>> from cv_attention import blocks
        >>> blocks.cost("se", 64, 56, 56)
        Cost(parameters=580, products=1024, elementwise=401476)
        >>> blocks.cost({"name": "se", "reduction": 4}, 64, 56, 56).parameters
        2128
    """
    if isinstance(block, nn.Module):
        module = copy.deepcopy(block).to("meta")
    else:
        with torch.device("meta"):
            module = resolve(block)(channels)
    x = torch.empty(1, channels, height, width, device="meta")
    # The plain kernel shows its softmax, the fused ones do not.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), _Counter() as counter:
        module.eval()(x)
    return Cost(
        parameters=sum(parameter.numel() for parameter in module.parameters()),
        products=counter.products,
        elementwise=counter.elementwise,
    )


class _Counter(TorchDispatchMode):
    """Counts products and element-wise operations of everything that runs while it is entered."""

    supports_higher_order_operators = True

    def __init__(self) -> None:
        super().__init__()
        self.products = self.elementwise = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.products += flops_of(func, args, kwargs or {}, result)
        name = getattr(func, "overloadpacket", func).__name__
        if torch.Tag.pointwise in getattr(func, "tags", ()) and name not in _COPIES:
            self.elementwise += _elements(result)
        elif name in _REDUCTIONS:
            self.elementwise += _elements(args)
        elif name in _COMPOSITES:
            self.elementwise += _COMPOSITES[name] * _elements(args[0])
        return result


def _elements(tree: Any) -> int:
    """Returns the elements of the largest tensor in `tree`."""
    return max((leaf.numel() for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)), default=0)
