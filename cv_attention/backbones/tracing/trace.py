"""Traces one forward: the tensor each tensor came from, and the module that returned it.

Operations are seen below autograd (`TorchDispatchMode`), so it does not matter whether a model adds
by ``x + y``, ``x += y`` or ``torch.add``; modules are seen through hooks that are gone afterwards.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

from cv_attention.backbones.tracing.channels import channel_axis
from cv_attention.backbones.tracing.flops import CountFlops
from cv_attention.backbones.tracing.tensors import kind_of, named_tensors, tensors_in, unlike_an_image
from cv_attention.backbones.tracing.tokens import Tokens, follow, of_feature_map
from cv_attention.backbones.tracing.values import Call, Value


@dataclass
class Trace:
    """All values of one forward in order, and all calls by the module's name.

    The first value is the image, where an input (B, C, H, W) is one. `shape` and `batch` are those of the image, else
    of what the first convolution takes, as where a list of images or the frames of a video become a batch, else of the
    first input.
    """

    shape: tuple[int, ...]
    batch: int
    values: list[Value]
    calls: dict[str, list[Call]]
    output: Value | None
    flops: int
    outputs: list[tuple[str, Value]] = field(default_factory=list)

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
        inputs: The model's inputs.
        once: Names of modules of which only the first call is recorded. What the others return is not followed, and
            modules that run on it again are left out in the same way.
    """

    def __init__(self, inputs: Sequence[Tensor], once: Sequence[str] = ()) -> None:
        super().__init__()
        self._once, self._unseen = frozenset(once), 0  # calls entered since recording paused
        self.call = Call("", None, [])
        self.calls: dict[str, list[Call]] = {"": [self.call]}
        self.values: list[Value] = []
        self._current = WeakTensorKeyDictionary()
        self._own: dict[int, str] = {}  # names of the model's parameters; buffers have none
        self._derived = WeakTensorKeyDictionary()  # what was made of parameters alone
        self._filled: dict[int, tuple[Any, Value]] = {}  # storages of constants into which a value was written
        self._changed = WeakTensorKeyDictionary()  # what modules took and changed in place -> the value it then had
        self._inputs = sorted({id(tensor): tensor for tensor in inputs}.values(), key=unlike_an_image)
        for tensor in self._inputs:
            self._record(tensor, "input", 1 if tensor.dim() > 3 else None, [])
        self.call.inputs = list(self.values)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Runs the operation and notes where its outputs came from."""
        if self._unseen:
            return super().__torch_dispatch__(func, types, args, kwargs)
        taken = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        parents, weights = self._origins(taken)
        self._note_bypasses(taken)
        out = super().__torch_dispatch__(func, types, args, kwargs)
        name = getattr(func, "overloadpacket", func).__name__
        axes = [(parent.shape, parent.channel_axis) for parent in parents]
        for number, tensor in enumerate(tree_leaves(out)) if parents or weights else ():
            if isinstance(tensor, Tensor) and parents:
                tokens = follow(name, args, tensor, number, self._tokens)
                self._record(tensor, name, channel_axis(name, args, tensor, axes), parents)
                self._describe(self.values[-1], args, weights, tokens)
            elif isinstance(tensor, Tensor) and id(tensor) not in self._own:
                self._derived[tensor] = weights
        if parents and func._schema.is_mutable and taken[0] in self._current:
            storage = taken[0].untyped_storage()
            self._filled[storage._cdata] = (storage, self._current[taken[0]])  # held, so that none gets its address
        return out

    def attach(self, model: nn.Module, skip: Iterable[nn.Module]) -> list[Any]:
        """Hooks every module but those in `skip`; the caller removes the handles returned."""
        skipped, handles = set(skip), []
        self._own = {id(buffer): "" for buffer in model.buffers()}
        self._own |= {id(parameter): name for name, parameter in model.named_parameters()}
        for name, module in model.named_modules():
            if module not in skipped and name:
                handles.append(module.register_forward_pre_hook(self._enter(name), with_kwargs=True))
                handles.append(module.register_forward_hook(self._leave()))
        return handles

    def image(self) -> tuple[int, ...]:
        """Returns the shape (B, C, H, W) of the image, as `Trace` describes it; () where there is nothing like it."""
        maps = [tuple(tensor.shape) for tensor in self._inputs if tensor.dim() == 4]
        maps += [v.parents[0].shape for v in self.values if v.op == "convolution" and len(v.parents[0].shape) == 4]
        rest = [tuple(tensor.shape) for tensor in self._inputs if tensor.dim() > 0]
        return next(iter(maps + rest), ())

    def value(self, tensor: Any) -> Value | None:
        """Returns the value that a tensor holds now."""
        if not isinstance(tensor, Tensor):
            return None
        found = self._current.get(tensor)
        if found is None and self._filled and tensor.layout is torch.strided:
            found = self._filled.get(tensor.untyped_storage()._cdata, (None, None))[1]
        return found

    def named_values(self, tree: Any) -> list[tuple[str, Value]]:
        """Returns the values in any structure of tensors, each with the expression that reaches it."""
        named = [("", tree)] if isinstance(tree, Tensor) else named_tensors(tree)
        found = ((name, self.value(tensor)) for name, tensor in named)
        return [(name, value) for name, value in found if value is not None]

    def _record(self, tensor: Tensor, op: str, axis: int | None, parents: list[Value]) -> None:
        value = Value(len(self.values), op, tuple(tensor.shape), axis, parents, self.call)
        self.values.append(value)
        self._current[tensor] = value

    def _values_of(self, tree: Any) -> list[Value]:
        found = (self.value(leaf) for leaf in tensors_in(tree))
        return list(dict.fromkeys(v for v in found if v is not None))

    def _origins(self, tensors: list[Tensor]) -> tuple[list[Value], tuple[str, ...]]:
        """The values that tensors hold, and the names of the parameters among them or from which they were made."""
        values: dict[Value, None] = {}
        weights: dict[str, None] = {}
        for tensor in tensors:
            own = self._own.get(id(tensor))
            if own is None:
                value = self.value(tensor)
                if value is not None:
                    values[value] = None
                elif self._derived:
                    weights |= dict.fromkeys(self._derived.get(tensor) or ())
            elif own:
                weights[own] = None
        return list(values), tuple(weights)

    def _note_bypasses(self, tensors: list[Tensor]) -> None:
        """Notes values that are used by the tensor that a module changed, and not by the one that it returned."""
        for tensor in tensors if self._changed else ():
            value = self._changed.get(tensor)
            if value is not None and self._current.get(tensor) is value:
                value.bypassed = True

    def _apart(self, args: Any, output: Any, value: Value | None) -> Tensor | None:
        """Returns another tensor with the same memory, if a module returns what it took and changed."""
        if value is None or value in self.call.inputs or not any(output is one for one in tensors_in(args)):
            return None
        self._unseen += 1
        other = output.detach()
        self._unseen -= 1
        self._current[other] = self._changed[output] = value
        return other

    def _tokens(self, tensor: Any) -> Tokens | None:
        value = self.value(tensor)
        return None if value is None else value.tokens

    def _describe(self, value: Value, args: tuple[Any, ...], weights: tuple[str, ...], tokens: Tokens | None) -> None:
        value.weights = weights
        is_map = len(value.shape) == 4 and value.channel_axis == 1
        value.tokens = of_feature_map(value.shape, value.index) if tokens is None and is_map else tokens
        if value.op == "convolution":
            value.kernel, value.transposed = tuple(args[1].shape[2:]), bool(args[6])
        elif value.op == "avg_pool2d":
            value.kernel = tuple(args[1]) * (3 - len(args[1]))

    def _repeats(self, name: str, inputs: Any) -> bool:
        """Returns whether a call is one that `once` leaves out."""
        return name in self.calls and (name in self._once or (bool(self._once) and not self._values_of(inputs)))

    def _enter(self, name: str) -> Any:
        def hook(module: nn.Module, args: Any, kwargs: Any) -> None:
            if self._unseen or self._repeats(name, (args, kwargs)):
                self._unseen += 1
                return
            first = self.value(args[0]) if args else None
            if first in self._values_of((args[1:], kwargs)) and not any(one is args[0] for one in args[1:]):
                first = None  # it comes a second time, hidden or by name, where no hook would see it
            self.call = Call(name, self.call, self._values_of((args, kwargs)), first)
            self.call.takes = kind_of(args[0]) if args else None
            self.calls.setdefault(name, []).append(self.call)

        return hook

    def _leave(self) -> Any:
        def hook(module: nn.Module, args: Any, output: Any) -> Tensor | None:
            if self._unseen:
                self._unseen -= 1
                return None
            call, value = self.call, self.value(output)
            call.output, call.gives = value, kind_of(output)
            call.returned = self.named_values(output)
            if value is None:
                call.problem = (
                    "returns a constant" if isinstance(output, Tensor) else f"returns a {type(output).__name__}"
                )
            elif value in call.inputs:
                value.passed_by.append(call.name)
            else:
                value.returned_by.append(call.name)
            assert call.parent is not None
            other = self._apart(args, output, value)
            self.call = call.parent
            return other

        return hook


def trace(
    model: nn.Module,
    args: tuple[Any, ...],
    kwargs: dict[str, Any] | None = None,
    *,
    skip: Iterable[nn.Module] = (),
    once: Sequence[str] = (),
) -> Trace:
    """Runs ``model(*args, **kwargs)`` once and returns what was seen.

    Args:
        model: The model, already in the state in which it shall run.
        args: Its positional arguments.
        kwargs: Its keyword arguments.
        skip: Modules whose calls count as part of the module around them.
        once: Names of modules of which only the first call is recorded. What the others return is not followed, and
            modules that run on it again are left out in the same way.
    """
    kwargs = kwargs or {}
    tracer = Tracer(tensors_in((args, kwargs)), once)
    handles = tracer.attach(model, skip)
    try:
        with tracer:
            output = model(*args, **kwargs)
    finally:
        for handle in handles:
            handle.remove()
    outputs = tracer.named_values(output)
    tracer.calls[""][0].returned = outputs
    last = outputs[0][1] if outputs else None
    shape = tracer.image()
    batch = max(shape[:1], default=1)
    return Trace(shape[1:], batch, tracer.values, tracer.calls, last, tracer.flops, outputs)
