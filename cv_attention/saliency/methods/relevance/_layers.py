"""Propagates relevance through linear layers, and through the BatchNorm that follows one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from cv_attention.saliency.methods.relevance._functions import Functions
from cv_attention.saliency.methods.relevance._ledger import Ledger
from cv_attention.saliency.methods.relevance._linear import Call, Redirect, Ruled
from cv_attention.saliency.methods.relevance.composites import Composite
from cv_attention.saliency.methods.relevance.rules import Epsilon, stabilised

_CONVOLUTIONS = [f"conv{t}{n}d" for t in ("", "_transpose") for n in (1, 2, 3)]
K = TypeVar("K", "Call", "Kept")


@dataclass
class Kept:
    """Keeps an output until the backward pass.

    Attributes:
        output: The output, copied before the model changes it.
    """

    output: Tensor

    def rate(self, epsilon: float) -> Tensor:
        """Returns the part of the output's relevance that the epsilon rule passes on."""
        return self.output / stabilised(self.output, epsilon)


class Layers(Functions):
    """Has the rules of convolutions, fully connected layers and BatchNorms.

    Args:
        composite: The rules of linear layers.
        ledger: Receives what does not reach the image; None keeps no account, which costs less.
    """

    def __init__(self, composite: Composite, ledger: Ledger | None = None) -> None:
        super().__init__()
        self.composite, self.ledger = composite, ledger
        self.entrances: list[Tensor] = []  # relevance of images, where a rule gives it by itself
        self._last: tuple[Tensor, Call | float, Any] | None = None  # the linear layer that a BatchNorm may follow
        self._begun = False
        self._calls: dict[int, list[Call | Kept]] = {}  # by the memory of their inputs and outputs
        self.rules = dict.fromkeys((*_CONVOLUTIONS, "linear"), self._layer) | {"batch_norm": self._batch_norm}

    def normalise(self, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
        """Normalises by the statistics of the batch."""
        raise NotImplementedError

    def _layer(
        self, func: Callable, x: Tensor, weight: Tensor, bias: Tensor | None = None, *rest: Any, **options: Any
    ) -> Tensor:
        weight = weight.detach()  # of a kernel that depends on the image, as of a gate
        bias = options.pop("bias", bias)
        if not x.requires_grad:
            return func(x, weight, bias, *rest, **options)
        kind = "linear" if func.__name__ == "linear" else "convolution"
        entrance = x.is_leaf
        rule = getattr(self.composite, kind)
        if self.composite.first is not None and (entrance or not self._begun):
            rule = self.composite.first
        self._begun = True
        if self.ledger:
            [x] = self.ledger.enter(kind, [x])
        if isinstance(rule, Epsilon):
            z = func(x, weight, bias, *rest, **options)
            if self.ledger:  # before the rule's own hook
                self.ledger.leave(kind, z)
            kept = self._keep(Kept(z.detach()))
            self._last = (z, rule.epsilon, z.register_hook(lambda g: g * kept.rate(rule.epsilon)))
        else:
            with torch.no_grad():
                z = func(x, weight, bias, *rest, **options)
            shape = (-1, *[1] * (z.dim() - 2)) if kind == "convolution" else (-1,)
            along = None if bias is None else bias.detach().view(shape)
            call = self._keep(Call(func, x.detach(), weight, along, z.detach(), rest, options, rule, entrance))
            z = Ruled.apply(x, call, [z], self._entrances(kind))
            self._last = (z, call, None)  # pyright: ignore[reportAttributeAccessIssue]
            if self.ledger:
                self.ledger.leave(kind, z)  # pyright: ignore[reportArgumentType]
        self._input = x
        return z  # pyright: ignore[reportReturnType]

    def _keep(self, call: K) -> K:
        """Notes that the call's tensors must be copied before the model changes them."""
        for tensor in vars(call).values():
            if isinstance(tensor, Tensor):
                self._calls.setdefault(tensor.untyped_storage().data_ptr(), []).append(call)
        return call

    def before_write(self, x: Tensor) -> None:
        """Copies what calls remember of a tensor that is about to change."""
        memory = x.untyped_storage().data_ptr()
        for call in self._calls.pop(memory, []):
            for name, tensor in vars(call).items():
                if isinstance(tensor, Tensor) and tensor.untyped_storage().data_ptr() == memory:
                    setattr(call, name, tensor.clone())

    def _entrances(self, kind: str) -> list[Tensor]:
        """Returns where relevance of the images goes."""
        if not self.ledger:
            return self.entrances
        ledger, entrances = self.ledger, self.entrances

        class Counted(list):
            def append(self, relevance: Tensor) -> None:
                ledger.add(kind, relevance, -1.0)
                entrances.append(relevance)

        return Counted()

    def _batch_norm(
        self,
        func: Callable,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        mean: Tensor | None,
        var: Tensor | None,
        training: bool,
        momentum: float,
        eps: float,
        cudnn: bool,
    ) -> Tensor:
        if training or mean is None or var is None:
            return self.normalise(x, weight, bias, eps)
        with torch.no_grad():
            scale = torch.rsqrt(var + eps) * (1 if weight is None else weight)
            shift = (0 if bias is None else bias) - mean * scale
            y = func(x, weight, bias, mean, var, training, momentum, eps, cudnn)
            channels = (-1, *[1] * (x.dim() - 2))
        last, self._last = self._last, None
        if last is None or last[0] is not x:
            return self._affine(x, y, scale.view(channels))
        _, call, hook = last
        before = self._input
        if not isinstance(call, Call):  # the epsilon rule
            hook.remove()
            kept, epsilon, factors = self._keep(Kept(y.detach())), call, scale.view(channels)
            [x] = self.ledger.enter("convolution", [x]) if self.ledger else [x]
            y = Redirect.apply(x, lambda: factors * kept.rate(epsilon), [y])
        else:
            call = self._keep(call.scaled(scale, shift, y.detach()))
            y = Ruled.apply(before, call, [y], self._entrances("convolution"))
        if self.ledger:
            self.ledger.leave("convolution", y)  # pyright: ignore[reportArgumentType]
        return y  # pyright: ignore[reportReturnType]

    def _affine(self, x: Tensor, y: Tensor, scale: Tensor) -> Tensor:
        """Returns y = scale x + a constant, which keeps its share."""
        if self.ledger:
            [x] = self.ledger.enter("normalisation", [x])
        y = Redirect.apply(x, scale, [y])  # pyright: ignore[reportAssignmentType]
        if self.ledger:
            self.ledger.leave("normalisation", y)
        return y
