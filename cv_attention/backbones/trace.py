"""Traces one forward: which tensor came from which, and which module returned it.

Operations are seen below autograd (`TorchDispatchMode`), so it does not matter whether a model adds
by ``x + y``, ``x += y`` or ``torch.add``; modules are seen through hooks that are gone afterwards.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from torch import Tensor, nn
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

from cv_attention.backbones.flops import CountFlops

# Operations by what they say about the axis of the channels in their output.
_CHANNELS_SECOND = {
    "convolution", "native_batch_norm", "_native_batch_norm_legit_no_training", "cudnn_batch_norm",
    "native_group_norm", "max_pool2d_with_indices", "avg_pool2d", "_adaptive_avg_pool2d",
}  # fmt: skip
_CHANNELS_LAST = {"native_layer_norm", "_fused_rms_norm", "mm", "addmm", "bmm", "linear", "_softmax"}
_VIEWS = {"view", "_unsafe_view", "reshape", "expand", "_reshape_copy", "view_copy"}
# Operations that mix channels or positions by learned weights.
_MIXING = {"convolution", "mm", "addmm", "bmm", "linear"}


@dataclass(eq=False)
class Call:
    """One call of a module; the model's own call has the name ``""`` and no parent."""

    name: str
    parent: "Call | None"
    inputs: list["Value"]
    first: "Value | None" = None  # what its first positional argument is
    output: "Value | None" = None
    problem: str = ""  # why its output cannot be attended, where it is no traced tensor

    def within(self, outer: "Call") -> bool:
        """Whether it is `outer` or was called inside it."""
        call: Call | None = self
        while call is not None and call is not outer:
            call = call.parent
        return call is outer


@dataclass(eq=False)
class Value:
    """One tensor at one time: an in-place operation makes a new value."""

    index: int
    op: str
    shape: tuple[int, ...]
    channel_axis: int | None
    parents: list["Value"]
    call: Call
    returned_by: list[str] = field(default_factory=list)  # modules that made it, innermost first
    passed_by: list[str] = field(default_factory=list)  # modules that returned their own input

    @property
    def mixes(self) -> bool:
        """Whether a convolution or matrix product made it."""
        return self.op in _MIXING

    @property
    def is_feature_map(self) -> bool:
        """Whether it is (B, C, H, W) with the channels second, as far as is known."""
        return len(self.shape) == 4 and self.channel_axis in (1, None)


@dataclass
class Trace:
    """All values of one forward in order, and all calls by the module's name."""

    shape: tuple[int, int, int]
    values: list[Value]
    calls: dict[str, list[Call]]
    output: Value | None
    flops: int

    @cached_property
    def consumers(self) -> dict[Value, list[Value]]:
        """Which values were made from each value, in order."""
        found: dict[Value, list[Value]] = {value: [] for value in self.values}
        for value in self.values:
            for parent in value.parents:
                found[parent].append(value)
        return found


class Tracer(CountFlops):
    """Records values while it is entered; `attach` adds the modules' hooks.

    Args:
        image: The model's input.
    """

    def __init__(self, image: Tensor) -> None:
        super().__init__()
        self.call = Call("", None, [])
        self.calls: dict[str, list[Call]] = {"": [self.call]}
        self.values: list[Value] = []
        self._current = WeakTensorKeyDictionary()
        self._record(image, "input", 1, [])
        self.call.inputs = list(self.values)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Runs the operation and notes where its outputs came from."""
        parents = self._values_of((args, kwargs))
        out = super().__torch_dispatch__(func, types, args, kwargs)
        if parents:
            name = getattr(func, "overloadpacket", func).__name__
            for tensor in tree_leaves(out):
                if isinstance(tensor, Tensor):
                    self._record(tensor, name, _channel_axis(name, args, tensor, parents), parents)
        return out

    def attach(self, model: nn.Module, skip: Iterable[nn.Module]) -> list[Any]:
        """Hooks every module but those in `skip`; the caller removes the handles returned."""
        skipped, handles = set(skip), []
        for name, module in model.named_modules():
            if module not in skipped and name:
                handles.append(module.register_forward_pre_hook(self._enter(name), with_kwargs=True))
                handles.append(module.register_forward_hook(self._leave()))
        return handles

    def value(self, tensor: Any) -> Value | None:
        """The value that a tensor holds now."""
        return self._current.get(tensor) if isinstance(tensor, Tensor) else None

    def _record(self, tensor: Tensor, op: str, axis: int | None, parents: list[Value]) -> None:
        shape = tuple(tensor.shape)
        value = Value(len(self.values), op, shape, axis, parents, self.call)
        self.values.append(value)
        self._current[tensor] = value

    def _values_of(self, tree: Any) -> list[Value]:
        found = (self.value(leaf) for leaf in tree_leaves(tree))
        return list(dict.fromkeys(v for v in found if v is not None))

    def _enter(self, name: str) -> Any:
        def hook(module: nn.Module, args: Any, kwargs: Any) -> None:
            first = self.value(args[0]) if args else None
            if first in self._values_of((args[1:], kwargs)) and not any(one is args[0] for one in args[1:]):
                first = None  # it comes a second time, hidden or by name, where no hook would see it
            self.call = Call(name, self.call, self._values_of((args, kwargs)), first)
            self.calls.setdefault(name, []).append(self.call)

        return hook

    def _leave(self) -> Any:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            call = self.call
            call.output = value = self.value(output)
            if value is None:
                call.problem = (
                    "returns a constant" if isinstance(output, Tensor) else f"returns a {type(output).__name__}"
                )
            elif value in call.inputs:
                value.passed_by.append(call.name)
            else:
                value.returned_by.append(call.name)
            assert call.parent is not None
            self.call = call.parent

        return hook


def trace(model: nn.Module, image: Tensor, skip: Iterable[nn.Module] = ()) -> Trace:
    """Runs the model once on `image` (B, C, H, W) and returns what was seen.

    Args:
        model: The model, already in the state in which it shall run.
        image: Its input.
        skip: Modules whose calls count as part of the module around them.
    """
    tracer = Tracer(image)
    handles = tracer.attach(model, skip)
    try:
        with tracer:
            output = model(image)
    finally:
        for handle in handles:
            handle.remove()
    last = next((v for leaf in tree_leaves(output) if (v := tracer.value(leaf))), None)
    _, channels, height, width = image.shape
    return Trace((channels, height, width), tracer.values, tracer.calls, last, tracer.flops)


def _channel_axis(op: str, args: tuple[Any, ...], out: Tensor, parents: list[Value]) -> int | None:
    """The axis of the channels in an operation's output; None where it cannot be told."""
    if op in _CHANNELS_SECOND or op.startswith("upsample"):
        return 1
    if op in _CHANNELS_LAST or op.startswith("_scaled_dot_product"):
        return out.dim() - 1
    parent = parents[0]
    axis, rank = parent.channel_axis, len(parent.shape)
    if axis is None:
        return None
    if op == "permute":
        return [d % rank for d in args[1]].index(axis)
    if op in ("transpose", "t"):
        one, two = (args[1] % rank, args[2] % rank) if op == "transpose" else (0, rank - 1)
        return {one: two, two: one}.get(axis, axis)
    if op in _VIEWS:
        if out.dim() > axis and tuple(out.shape[: axis + 1]) == parent.shape[: axis + 1]:
            return axis
        return out.dim() - 1 if axis == rank - 1 and out.shape[-1] == parent.shape[-1] else None
    same_rank = [p.channel_axis for p in parents if len(p.shape) == out.dim()]
    return same_rank[0] if same_rank else None
