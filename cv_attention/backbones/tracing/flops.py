"""Counts the floating-point operations of everything that runs."""

from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

from cv_attention.blocks.flops import flops_of


class CountFlops(TorchDispatchMode):
    """Adds up the operations of everything that runs while it is entered; a multiply-add counts as two.

    `torch.utils.flop_counter.FlopCounterMode` does much the same, but counts fused attention and other kernels in some
    versions only, and its first use imports torch's compiler for several seconds.

    Attributes:
        flops: Operations so far.
    """

    supports_higher_order_operators = True  # flex_attention is one

    def __init__(self) -> None:
        super().__init__()
        self.flops = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # skipping is what would import the compiler

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Runs one operation and adds its cost."""
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        self.flops += flops_of(func, args, kwargs, out)
        return out
